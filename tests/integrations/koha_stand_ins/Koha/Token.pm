package Koha::Token;

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);

sub new { return bless {}, shift; }

sub generate_csrf {
    my ( $self, $of ) = @_;
    return if !$of->{session_id};
    return sha256_hex("csrf $of->{session_id}");
}

sub check_csrf {
    my ( $self, $of ) = @_;
    return if !$of->{session_id} || !$of->{token};
    return $of->{token} eq $self->generate_csrf($of);
}

1;
