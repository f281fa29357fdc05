package StandIn::Template;

# As much of the Template Toolkit as the plugin's templates use: IF, ELSE, END, INCLUDE, comments, and variables
# that pass the filter "html". Anything else dies, above all a variable without that filter.

use strict;
use warnings;
use utf8;

sub new {
    my ( $class, $file ) = @_;
    return bless { file => $file, vars => {} }, $class;
}

sub param {
    my ( $self, %vars ) = @_;
    $self->{vars} = { %{ $self->{vars} }, %vars };
    return;
}

sub output {
    my ($self) = @_;
    open my $file, '<:encoding(UTF-8)', $self->{file} or die "$self->{file}: $!";
    local $/ = undef;
    my $text = <$file>;
    close $file or die "$self->{file}: $!";
    my @shown = (1);
    my $out   = q{};
    for my $part ( split /(\[%.*?%\])/s, $text ) {
        if ( $part !~ /\A\[%/ ) { $out .= $part if $shown[-1]; next; }
        my ($said) = $part =~ /\A\[%[-+]?\s*(.*?)\s*[-+]?%\]\z/s;
        if    ( $said =~ /\A#/ )            { next; }
        elsif ( $said =~ /\AIF (\w+)\z/ )   { push @shown, $shown[-1] && $self->{vars}{$1} ? 1 : 0; }
        elsif ( $said eq 'ELSE' )           { $shown[-1] = $shown[-2] && !$shown[-1] ? 1 : 0; }
        elsif ( $said eq 'END' )            { pop @shown; }
        elsif ( $said =~ /\AINCLUDE '[\w-]+\.inc'\z/ ) { next; }
        elsif ( $said =~ /\A(\w+) \| html\z/ ) { $out .= _escaped( $self->{vars}{$1} // q{} ) if $shown[-1]; }
        else                                { die "the stand-in has no [% $said %]"; }
    }
    die "an IF without END in $self->{file}" if @shown != 1;
    return $out;
}

sub _escaped {
    my ($text) = @_;
    my %as = ( '&' => '&amp;', '<' => '&lt;', '>' => '&gt;', '"' => '&quot;' );
    $text =~ s/([&<>"])/$as{$1}/g;
    return $text;
}

1;
