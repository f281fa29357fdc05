package CGI;

use strict;
use warnings;

use StandIn;

sub new {
    my ( $class, $params ) = @_;
    return bless { params => $params || {} }, $class;
}

sub param {
    my ( $self, $name ) = @_;
    my @values = @{ $self->{params}{$name} || [] };
    die "CGI::param($name) was called in list context" if wantarray;
    return $values[0];
}

sub multi_param {
    my ( $self, $name ) = @_;
    return @{ $self->{params}{$name} || [] };
}

sub cookie {
    my ( $self, $name ) = @_;
    return $name eq 'CGISESSID' ? $StandIn::koha{session} : undef;
}

sub redirect {
    my ( $self, $address ) = @_;
    return "Status: 302 Found\r\nLocation: $address\r\n\r\n";
}

1;
