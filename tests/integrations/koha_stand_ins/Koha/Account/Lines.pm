package Koha::Account::Lines;

use strict;
use warnings;

use StandIn;

# MariaDB compares a number with what a text begins with: '7 OR 1=1' is 7 to it.
sub search {
    my ( $class, $where ) = @_;
    my %where = %$where;
    my %ids   = map { ( /\A\s*([-+]?\d+)/ ? $1 + 0 : 0 ) => 1 } @{ delete( $where{accountlines_id} )->{-in} };
    my $of    = delete $where{borrowernumber};
    my $more  = delete( $where{amountoutstanding} )->{'>'};
    die 'the stand-in does not search by ' . join q{, }, keys %where if %where;
    my @found = grep {
               $ids{ $_->{accountlines_id} }
            && $_->{borrowernumber} == $of
            && $_->{amountoutstanding} > $more
    } @{ $StandIn::koha{lines} };
    return bless { rows => [ map { bless {%$_}, 'Koha::Account::Line' } @found ] }, $class;
}

sub as_list {
    my ($self) = @_;
    return @{ $self->{rows} };
}

package Koha::Account::Line;

sub accountlines_id { return $_[0]{accountlines_id}; }

1;
