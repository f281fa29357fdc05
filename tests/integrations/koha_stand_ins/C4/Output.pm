package C4::Output;

use strict;
use warnings;

sub output_html_with_http_headers {
    my ( $cgi, $cookie, $html, $status, $options ) = @_;
    die 'a page about an account may not be kept' if !$options->{force_no_caching};
    print "Status: 200 OK\r\nContent-Type: text/html; charset=UTF-8\r\nSet-Cookie: $cookie\r\n\r\n$html";
    return;
}

1;
