package C4::Languages;

use strict;
use warnings;

use StandIn;

sub getlanguage {
    my ($cgi) = @_;
    die 'no CGI' if !$cgi->isa('CGI');
    return $StandIn::koha{language};
}

1;
