package Koha::Plugins::Base;

use strict;
use warnings;

use StandIn;
use StandIn::Template;

sub new {
    my ( $class, $args ) = @_;
    $args->{class} = $class;
    my $self = bless $args, $class;
    my $version = $self->get_metadata->{version};
    if ( !$self->retrieve_data('__INSTALLED__') ) {
        die 'not installed' if !$self->install;
        $self->store_data( { __INSTALLED__ => 1, __ENABLED__ => 1, __INSTALLED_VERSION__ => $version } );
    }
    elsif ( $version ne $self->retrieve_data('__INSTALLED_VERSION__') ) {
        die 'not upgraded' if !$self->upgrade;
        $self->store_data( { __INSTALLED_VERSION__ => $version } );
    }
    return $self;
}

sub get_metadata { return $_[0]{metadata}; }

sub store_data {
    my ( $self, $data ) = @_;
    $StandIn::koha{data}{$_} = $data->{$_} for keys %$data;
    return;
}

sub retrieve_data {
    my ( $self, $key ) = @_;
    return $StandIn::koha{data}{$key};
}

sub mbf_path {
    my ( $self, $file ) = @_;
    ( my $path = ref($self) . '.pm' ) =~ s{::}{/}g;
    ( my $folder = $INC{$path} ) =~ s/\.pm\z//;
    die "no $folder/$file" if !-e "$folder/$file";
    return "$folder/$file";
}

sub get_template {
    my ( $self, $args ) = @_;
    my $template = StandIn::Template->new( $self->mbf_path( $args->{file} ) );
    $template->param( CLASS => ref $self, METHOD => scalar $self->{cgi}->param('method') );
    return $template;
}

sub output_html {
    my ( $self, $html ) = @_;
    print "Status: 200 OK\r\nContent-Type: text/html; charset=UTF-8\r\n\r\n$html";
    return;
}

sub go_home {
    my ($self) = @_;
    print $self->{cgi}->redirect('/cgi-bin/koha/plugins/plugins-home.pl');
    return;
}

1;
