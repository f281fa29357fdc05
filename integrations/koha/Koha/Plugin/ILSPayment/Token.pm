package Koha::Plugin::ILSPayment::Token;

=head1 NAME

Koha::Plugin::ILSPayment::Token - the token with which ils-payment lets a patron in

=head1 DESCRIPTION

A JWT (RFC 7519), signed with HMAC-SHA256, as F<docs/handing-over.md> of ils-payment describes it. It needs
modules of Perl itself only.

=cut

use strict;
use warnings;

use Digest::SHA qw(hmac_sha256);
use JSON::PP ();
use MIME::Base64 qw(encode_base64url);

use constant {
    MOST_FEES => 200,    # ils-payment refuses a token that names more.
    SECONDS   => 110,    # ils-payment allows 120; the browser sends the token on at once.
};

=head2 signed

    my $token = signed({ audience, issuer, kid, secret, patron, fees => [...], language });

Return the token. C<patron> is the borrowernumber, C<fees> are accountlines_ids; all become text. Dies where the
machine has no chance to give.

=cut

sub signed {
    my ($of) = @_;
    my $now    = time;
    my %claims = (
        iss  => "$of->{issuer}",
        aud  => "$of->{audience}",
        iat  => $now,
        exp  => $now + SECONDS,
        jti  => _chance(),
        sub  => "$of->{patron}",
        fees => [ map { "$_" } @{ $of->{fees} } ],
        ( $of->{language} =~ /\A(?:de|en)\z/ ? ( lang => $of->{language} ) : () ),
    );
    my $head = _part( { alg => 'HS256', typ => 'JWT', kid => "$of->{kid}" } );
    my $body = "$head." . _part( \%claims );
    return "$body." . encode_base64url( hmac_sha256( $body, $of->{secret} ) );
}

sub _part {
    my ($said) = @_;
    return encode_base64url( JSON::PP->new->utf8->canonical->encode($said) );
}

sub _chance {
    open my $source, '<:raw', '/dev/urandom' or die "no chance to read: $!\n";
    my $read = read $source, my $bytes, 16;
    close $source or die "no chance to read: $!\n";
    die "too little chance to read\n" if !$read || $read != 16;
    return unpack 'H*', $bytes;
}

1;
