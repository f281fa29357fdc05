package StandIn;

# What the stand-ins of Koha's classes share: one Koha, as a test describes it. They do what the plugin asks of
# Koha, as read in Koha's code, and die where it asks anything else. No running Koha was at hand.

use strict;
use warnings;

our %koha = (
    patron         => undef,    # the borrowernumber of who is signed in
    session        => undef,    # the cookie CGISESSID
    language       => 'en',
    lines          => [],       # rows of accountlines
    data           => {},       # the plugin's rows of plugin_data
    encryption_key => undef,    # as in koha-conf.xml
);

1;
