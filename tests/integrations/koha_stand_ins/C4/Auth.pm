package C4::Auth;

use strict;
use warnings;

use StandIn;
use StandIn::Template;

# Koha asks for card number and password and ends the script where nobody is signed in. It asks neither whether
# the card has ended nor whether there is a restriction.
sub get_template_and_user {
    my ($of) = @_;
    die "this is the OPAC\n" if $of->{type} ne 'opac' || $of->{authnotrequired};
    die "a template of a plugin is named by its whole path\n" if $of->{template_name} !~ m{\A/.*\.tt\z};
    die "SIGN IN\n" if !$StandIn::koha{patron};
    return ( StandIn::Template->new( $of->{template_name} ), $StandIn::koha{patron}, 'CGISESSID=kept' );
}

1;
