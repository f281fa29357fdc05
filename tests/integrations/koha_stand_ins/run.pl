# Play Koha for one request: JSON on the standard input describes the Koha of a test, the method of the plugin
# and the parameters of the form; JSON on the standard output says what was printed, returned and stored.

use strict;
use warnings FATAL => 'all';

use CGI;
use JSON::PP;
use StandIn;

my $asked  = decode_json( do { local $/ = undef; <STDIN> } );
my $method = delete $asked->{method};
my $params = delete $asked->{params};
%StandIn::koha = ( %StandIn::koha, %$asked );

require Koha::Plugin::ILSPayment;

my ( $printed, $returned ) = (q{});
{
    open my $page, '>:encoding(UTF-8)', \$printed or die $!;
    my $before = select $page;
    my $plugin = Koha::Plugin::ILSPayment->new( { cgi => CGI->new($params) } );
    $returned = eval { $plugin->$method } if $plugin->can($method);
    select $before;
    close $page or die $!;
    die $@ if $@ && $@ ne "SIGN IN\n";
    $printed = 'SIGN IN' if $@;
}
utf8::decode($printed);
print JSON::PP->new->utf8->canonical->encode(
    { printed => $printed, returned => $returned, data => $StandIn::koha{data} } );
