package Koha::Encryption;

# Koha's own one is AES by Crypt::CBC, with the key of koha-conf.xml. This one only has to be no clear text.

use strict;
use warnings;

use Digest::SHA qw(sha256);
use StandIn;

sub new {
    my ($class) = @_;
    my $key = $StandIn::koha{encryption_key};
    die "No encryption_key in koha-conf.xml.\n" if !$key || $key eq '__ENCRYPTION_KEY__';
    return bless { key => $key }, $class;
}

sub encrypt_hex {
    my ( $self, $text ) = @_;
    return unpack 'H*', $text ^ $self->_stream( length $text );
}

sub decrypt_hex {
    my ( $self, $hex ) = @_;
    my $text = pack 'H*', $hex;
    return $text ^ $self->_stream( length $text );
}

sub _stream {
    my ( $self, $length ) = @_;
    my $stream = q{};
    $stream .= sha256( $self->{key} . length $stream ) while length $stream < $length;
    return substr $stream, 0, $length;
}

1;
