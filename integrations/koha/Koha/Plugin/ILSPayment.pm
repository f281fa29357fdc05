package Koha::Plugin::ILSPayment;

=head1 NAME

Koha::Plugin::ILSPayment - patrons of the OPAC pay their charges with ils-payment

=head1 DESCRIPTION

Hands the signed-in patron and the ticked charges over with a signed token, and meets the patron who comes back.
It reads open charges, writes its own settings, and books nothing: settling is the work of ils-payment, over
Koha's REST API. How to install it stands in F<docs/handing-over.md> of ils-payment.

The hooks, and what Koha hands to them, were read in the code of Koha 23.05 and of later branches. No running
Koha was at hand.

=cut

use strict;
use warnings;

use base qw(Koha::Plugins::Base);

# Koha lists every function of this class as a method of the plugin, so none is imported into it.
use C4::Auth                        ();
use C4::Languages                   ();
use C4::Output                      ();
use Koha::Account::Lines            ();
use Koha::Encryption                ();
use Koha::Plugin::ILSPayment::Token ();
use Koha::Token                     ();

our $VERSION = '{VERSION}';

our $metadata = {
    name            => 'Online bezahlen / Pay online',
    author          => 'ils-payment',
    description     => 'Hands patrons who want to pay their charges over to ils-payment.',
    date_authored   => '2026-11-26',
    date_updated    => '2026-11-26',
    minimum_version => '23.05.00.000',
    maximum_version => undef,
    version         => $VERSION,
};

my %FORM_OF = (
    address   => qr{\Ahttps://[\w.-]+(?::\d+)?(?:/[\w.-]+)+\z}a,
    issuer    => qr{\A[\x21-\x7e]{1,100}\z},
    kid       => qr{\A[\x21-\x7e]{1,100}\z},
    threshold => qr{\A\d{1,4}(?:\.\d\d)?\z}a,
    secret    => qr{\A[\x21-\x7e]{32,200}\z},
);

sub new {
    my ( $class, $args ) = @_;
    $args->{metadata} = { %$metadata, class => $class };
    return $class->SUPER::new($args);
}

=head2 install, upgrade, uninstall

Koha enables a plugin whose C<install> says true, and notes the version when C<upgrade> does. There are no tables.

=cut

sub install { return 1; }

sub upgrade { return 1; }

sub uninstall {
    my ($self) = @_;
    $self->store_data( { secret => q{} } );
    return 1;
}

=head2 opac_online_payment

Say whether "Your charges" may offer this way to pay: only when all is configured.

=cut

sub opac_online_payment {
    my ($self) = @_;
    return !grep { !length( $self->retrieve_data($_) // q{} ) } qw(address issuer kid secret);
}

=head2 opac_online_payment_threshold

Return the smallest sum that can be paid; "Your charges" compares it with what is ticked.

=cut

sub opac_online_payment_threshold {
    my ($self) = @_;
    return $self->retrieve_data('threshold') || 0;
}

=head2 opac_online_payment_begin

Show a page whose form takes the patron to ils-payment. The token stands in the form, so that no address and no
log of a web server gets to know it. Whether a card has ended or is blocked is not asked: these patrons above all
have something to pay.

=cut

sub opac_online_payment_begin {
    my ($self) = @_;
    my ( $template, $patron, $cookie ) = $self->_opac_page;
    my ( $fees, $problem ) = $self->_ticked_fees($patron);
    my $shown = $problem ? { $problem => 1 } : eval { $self->_handed_over( $patron, $fees ) };
    if ( !$shown ) {
        warn "ils-payment: no token could be made: $@";
        $shown = { broken => 1 };
    }
    $template->param(%$shown);
    return $self->_show( $template, $cookie );
}

=head2 opac_online_payment_end

Meet the patron who comes back. Nothing in the address is believed or shown: what was paid, Koha's own books say.

=cut

sub opac_online_payment_end {
    my ($self) = @_;
    my ( $template, undef, $cookie ) = $self->_opac_page;
    $template->param( back => 1 );
    return $self->_show( $template, $cookie );
}

=head2 configure

Show the settings, or save them. The secret is kept encrypted with Koha's own key (C<encryption_key> in
F<koha-conf.xml>) and never shown again: an empty field leaves it as it is.

=cut

sub configure {
    my ($self)   = @_;
    my $cgi      = $self->{cgi};
    my %problems = ();
    if ( $cgi->param('save') ) {
        %problems = $self->_save;
        return $self->go_home if !%problems;
    }
    my $template = $self->get_template( { file => 'configure.tt' } );
    my %kept     = map { $_ => $self->retrieve_data($_) // q{} } qw(address issuer kid threshold);
    my %typed    = %problems ? map { $_ => scalar $cgi->param($_) // q{} } keys %kept : ();
    $template->param(
        %kept, %typed, %problems,
        german     => $self->_language eq 'de',
        secret_set => length( $self->retrieve_data('secret') // q{} ) ? 1 : 0,
        csrf       => Koha::Token->new->generate_csrf( { session_id => scalar $cgi->cookie('CGISESSID') } ),
    );
    return $self->output_html( $template->output );
}

sub _save {
    my ($self) = @_;
    my $cgi = $self->{cgi};
    # Koha looks at this token by itself since 24.05 only; a forged form could send patrons to another address.
    my $session = { session_id => scalar $cgi->cookie('CGISESSID'), token => scalar $cgi->param('csrf_token') };
    return ( problem_form => 1 ) if !Koha::Token->new->check_csrf($session);

    my %typed = map { $_ => scalar $cgi->param($_) // q{} } keys %FORM_OF;
    delete $typed{secret}    if $typed{secret} eq q{} && $self->retrieve_data('secret');
    delete $typed{threshold} if $typed{threshold} eq q{};
    my @wrong = grep { $typed{$_} !~ $FORM_OF{$_} } keys %typed;
    return map { ( "problem_$_" => 1 ) } @wrong if @wrong;

    if ( exists $typed{secret} ) {
        $typed{secret} = eval { Koha::Encryption->new->encrypt_hex( $typed{secret} ) };
        if ( !$typed{secret} ) {
            # The cause names koha-conf.xml and no secret.
            warn "ils-payment: the secret could not be encrypted: $@";
            return ( problem_encryption => 1 );
        }
    }
    $self->store_data( { threshold => 0, %typed } );
    return;
}

sub _opac_page {
    my ($self) = @_;
    my ( $template, $patron, $cookie ) = C4::Auth::get_template_and_user(
        {
            template_name   => $self->mbf_path('opac.tt'),
            query           => $self->{cgi},
            type            => 'opac',
            authnotrequired => 0,
            is_plugin       => 1,
        }
    );
    $template->param( german => $self->_language eq 'de' );
    return ( $template, $patron, $cookie );
}

sub _show {
    my ( $self, $template, $cookie ) = @_;
    my @fresh = ( undef, { force_no_caching => 1 } );
    return C4::Output::output_html_with_http_headers( $self->{cgi}, $cookie, $template->output, @fresh );
}

sub _language {
    my ($self) = @_;
    return lc substr( C4::Languages::getlanguage( $self->{cgi} ) // q{}, 0, 2 );
}

# The browser says what was ticked, the database whose it is: Koha itself does not compare the two.
sub _ticked_fees {
    my ( $self, $patron ) = @_;
    my %ticked = map { $_ => 1 } $self->{cgi}->multi_param('accountline');
    my @ids    = keys %ticked;
    return ( undef, 'nothing_ticked' ) if !@ids;
    return ( undef, 'too_many' )       if @ids > Koha::Plugin::ILSPayment::Token::MOST_FEES();
    return ( undef, 'not_open' )       if grep { !/\A[1-9][0-9]{0,9}\z/ } @ids;
    my $own = Koha::Account::Lines->search(
        {
            accountlines_id   => { -in => \@ids },
            borrowernumber    => $patron,
            amountoutstanding => { q{>} => 0 },
        }
    );
    my @open = sort { $a <=> $b } map { $_->accountlines_id } $own->as_list;
    return ( undef, 'not_open' ) if @open != @ids;
    return ( \@open, undef );
}

sub _handed_over {
    my ( $self, $patron, $fees ) = @_;
    my $address = $self->retrieve_data('address');
    my $token   = Koha::Plugin::ILSPayment::Token::signed(
        {
            audience => $address,
            issuer   => $self->retrieve_data('issuer'),
            kid      => $self->retrieve_data('kid'),
            secret   => Koha::Encryption->new->decrypt_hex( $self->retrieve_data('secret') ),
            patron   => $patron,
            fees     => $fees,
            language => $self->_language,
        }
    );
    return { go => 1, action => "$address/arrive", token => $token };
}

1;
