# The page of cdc_panel in a real browser while a slot stalls: what it shows, at which sizes and in which colours, by
# keyboard, and what it does when the database or the panel goes away. Screenshots are left in build/panel.
use strict;
use warnings;
use utf8;

use Browser;
use CdcGuard;
use CdcPanel;
use CdcTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $pictures = $ENV{TESTDIR} . '/panel';
mkdir $pictures;

my $node = guard_node('shop',
    conf => "max_slot_wal_keep_size = 64MB\nmax_prepared_transactions = 5\ncdc_plugin.guard_interval = 1s");
add_panel_role($node);
my $hostile = q{<img src=x onerror="owned=1"><script>owned=1</script>};
$node->safe_psql('postgres', 'CREATE TABLE t (a int)');
$node->safe_psql('postgres', 'CREATE DATABASE "' . ($hostile =~ s/"/""/gr) . '"');
create_slot($node, $_) for qw(orders audit warehouse);
$node->safe_psql($hostile, q{SELECT pg_create_logical_replication_slot('x_other_database', 'test_decoding')});
$node->safe_psql('postgres', q{SELECT pg_create_physical_replication_slot('standby')});    # retains nothing: always ok
# Of the slots one is dead, one has confirmed all and is held back, one is read.
$node->safe_psql('postgres', q{BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'payment 4711'});
my $reader = receive($node, 'warehouse');
my $panel = start_panel($node, args => [qw(--listen 127.0.0.1:0 --interval 500ms --history 1min)]);
my $folder = scratch_file('browser');
mkdir $folder;
my $browser = Browser->start($folder);
$browser->resize(1280, 720);
$browser->prefer('prefers-color-scheme' => 'light');
$browser->open_page($panel->url);
my $card = sub { qq{document.querySelector('article[data-slot="$_[0]"]')} };
my @paints;
for (1 .. 5) {
    $browser->open_page($panel->url);
    $browser->wait_for($card->('orders'), 'the slots are shown');
    # Where the machine is slow, they are in the document before they are on the screen.
    my $paint = q{performance.getEntriesByName('first-contentful-paint')[0]};
    $browser->wait_for($paint, 'the page is painted');
    push @paints, $browser->value("Math.round($paint.startTime)");
}
note("first contentful paint after @paints ms");

# The stall, as it goes: steady writes.
wait_until('the page shows a warning', sub {
    write_wal($node, 1);
    $node->safe_psql('postgres', q{SELECT pg_replication_slot_advance('audit', pg_current_wal_lsn())});
    sleep(0.3);
    return $browser->value($card->('orders') . q{.dataset.level === 'warning'});
});
$browser->screenshot("$pictures/panel.png");
wait_for_level($node, 'orders', 'warning', 'consumer_down');
$browser->wait_for($card->('orders') . q{.innerText.includes('consumer_down')});

# --- what it shows ----------------------------------------------------------------------------------------------------

is($browser->value(q{document.body.dataset.state}), 'ok', 'the page is up to date');
my $text = $browser->value($card->('orders') . '.innerText');
like($text, qr/^orders\s+▲ warning$/m, 'the slot and its level, as text') or diag($text);
like($text, qr/^Cause: consumer_down$/m, 'the cause');
like($text, qr/^Start the consumer again/m, 'the advice');
like($text, qr/^\d+ % of 64\.0 MB used, [\d.]+ MB left$/m, 'the headroom');
like($text, qr/^Time left\s+(?:about |not known)/m, 'the time that is left');
like($text, qr/^Read by\s+nobody for /m, 'that nobody reads it');
like($text, qr/^Retained over the last 1 min: at most [\d.]+ MB; dashed: the cap$/m, 'the history');
is($browser->value($card->('orders') . q{.querySelector('[role=meter]').getAttribute('aria-valuenow')}),
    slot_row($node, 'orders', 'used_percent'), 'the meter has the share of the cap');
cmp_ok($browser->value($card->('orders') . q{.querySelector('svg path:last-child').getAttribute('d').match(/L/g).length}),
    '>=', 5, 'the curve has points');
is($browser->value(q{[...document.querySelectorAll('#slots article')].pop().dataset.slot}), 'standby',
    'the slot that is ok comes last');
like($browser->value(q{document.getElementById('alerts').innerText}), qr/▲ warning\s+orders/, 'the alerts are listed');
like($browser->value('document.title'), qr/^\(\d\) Replication slots$/, 'the title counts those in trouble');
$browser->wait_for($card->('audit') . q{.innerText.includes('prepared_transaction')}, 'the held slot has its cause');
like($browser->value($card->('audit') . '.innerText'),
    qr/^Culprit\s+prepared transaction payment 4711 in database postgres$/m,
    'and its culprit');
is($browser->value("[...${\ $card->('x_other_database')}.querySelectorAll('dd')].pop().textContent"),
    "logical, test_decoding, database $hostile", 'a hostile name is shown as text');
is($browser->value(q{document.querySelectorAll('img, article script').length}), 0, 'and is no markup');
is($browser->value('typeof window.owned'), 'undefined', 'nor runs');
is($browser->value(q{(() => { const s = document.createElement('script'); s.textContent = 'window.owned = 1';
    document.body.append(s); s.remove(); return typeof window.owned })()}), 'undefined',
        'no script without the nonce does');

# As assistive programs have it.
my @nodes = @{ $browser->devtools('Accessibility.getFullAXTree')->{nodes} };
my %named;
push @{ $named{ $_->{role}{value} } }, $_->{name}{value} // '' for grep { $_->{role} && !$_->{ignored} } @nodes;
ok((grep { $_ eq 'Share of the cap that slot orders uses' } @{ $named{meter} }), 'the bar is a meter with a name');
ok((grep { /^orders/ } @{ $named{article} // [] }), 'the slot is an article with a name');
is_deeply([ grep { $_ eq 'Slots' || $_ eq 'Alerts' } @{ $named{heading} } ], [ 'Slots', 'Alerts' ],
    'there are headings');
is(scalar(grep { $_ eq '' } @{ $named{image} // [] }), 0, 'each picture has a text');

# --- sizes and colours ------------------------------------------------------------------------------------------------

# The lowest contrast between a text and what is behind it (WCAG's formula; 4.5 is its limit for text).
my $contrast = q{(() => {
    const rgb = text => text.match(/[\d.]+/g).map(Number);
    const light = text => { const [r, g, b] = rgb(text).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
        return .2126 * r + .7152 * g + .0722 * b };
    const back = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;
        if (rgb(c)[3] !== 0) return c } return 'rgb(255,255,255)' };
    let worst = 99;
    for (const e of document.querySelectorAll('body *')) {
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()) || !e.checkVisibility() || e.closest('.hidden, script, style')) continue;
        const a = light(getComputedStyle(e).color), b = light(back(e));
        worst = Math.min(worst, (Math.max(a, b) + .05) / (Math.min(a, b) + .05));
    }
    return worst })()};
my $back = 'getComputedStyle(document.body).backgroundColor';
my %back;
for my $scheme (qw(light dark)) {
    $browser->prefer('prefers-color-scheme' => $scheme);
    for my $size ([ 1280, 900 ], [ 360, 740 ]) {
        $browser->resize(@$size);
        cmp_ok($browser->value('document.documentElement.scrollWidth'), '<=', $size->[0],
            "$scheme, $size->[0] wide: nothing scrolls sideways");
        $browser->screenshot("$pictures/panel-$scheme-$size->[0].png");
    }
    $back{$scheme} = $browser->value($back);
    cmp_ok($browser->value($contrast), '>=', 4.5, "$scheme: every text has enough contrast");
}
isnt($back{light}, $back{dark}, 'light and dark differ');
my $motion = q{getComputedStyle(document.querySelector('.fill')).transitionDuration};
$browser->prefer('prefers-reduced-motion' => 'no-preference');
is($browser->value($motion), '0.3s', 'the bars move');
$browser->prefer('prefers-reduced-motion' => 'reduce');
is($browser->value($motion), '0s', 'unless that is not wanted');
$browser->prefer('prefers-color-scheme' => 'light');

# --- by keyboard ------------------------------------------------------------------------------------------------------

$browser->resize(1280, 900);
ok($browser->tab_to(q{document.activeElement.id === 'trouble'}), 'Tab reaches the filter');
ok($browser->value(q{document.activeElement.matches(':focus-visible') &&
    getComputedStyle(document.activeElement).outlineStyle === 'solid'}), 'which shows that it has the focus');
my $shown = q{[...document.querySelectorAll('#slots li')].filter(e => e.checkVisibility()).map(e => e.firstChild.dataset.slot).join()};
$browser->press('Space');
unlike($browser->value($shown), qr/standby/, 'Space hides slots that are ok');
like($browser->value($shown), qr/orders/, 'and no other');
$browser->press('Space');
like($browser->value($shown), qr/standby/, 'and shows them again');
my $summary = $card->('orders') . q{.querySelector('summary')};
ok($browser->tab_to("document.activeElement === $summary"), 'Tab reaches the steps');
$browser->press('Enter');
$browser->wait_for($card->('orders') . q{.querySelector('.steps pre')}, 'Enter shows them');
my @commands = split(/\n/, $node->safe_psql('postgres',
    q{SELECT regexp_replace(command, '\s+', ' ', 'g') FROM cdc.runbook('orders')
        WHERE command IS NOT NULL ORDER BY step}));
is($browser->value('[...' . $card->('orders') . q{.querySelectorAll('pre')].map(e => e.textContent.replace(/\s+/g, ' ')).join('\n')}),
    join("\n", @commands), 'with the commands of cdc.runbook()');
my $looks = $panel->metrics->{cdc_panel_looks_total};
wait_until('the page is refreshed', sub { $panel->metrics->{cdc_panel_looks_total} > $looks + 4 });
ok($browser->value("document.activeElement === $summary"), 'a refresh leaves the focus alone');

# --- what goes over the network ---------------------------------------------------------------------------------------

my %hosts;
for my $event ($browser->log_lines('performance')) {
    next unless $event->{method} eq 'Network.requestWillBeSent';
    # The browser's own first page is made of chrome: addresses.
    my $url = $event->{params}{request}{url};
    ++$hosts{ $url =~ m{^(\w+://[^/]+/)} ? $1 : $url } unless $url =~ /^(?:data|chrome):/;
}
is_deeply([ sort keys %hosts ], [ $panel->url . '/' ], 'the page asks nobody but its panel') or diag(explain(\%hosts));
is(join("\n", grep { !/script-src/ } $browser->log_lines('browser')), '',
    'the console has no error but the one for the script without a nonce');

# --- trouble ----------------------------------------------------------------------------------------------------------

$node->stop;
$browser->wait_for(q{document.body.dataset.state === 'stale'}, 'the page notices that the database is away');
like($browser->value(q{document.getElementById('banner').innerText}),
    qr/database cannot be reached.*is old/i, 'and says so');
is($browser->value(q{document.getElementById('banner').getAttribute('role')}), 'alert', 'loudly');
like($browser->value(q{document.getElementById('seen').innerText}), qr/As of .* ago$/, 'with the age of what it shows');
ok($browser->value($card->('orders')), 'which is still there');
$browser->screenshot("$pictures/panel-stale.png");
$node->start;
$browser->wait_for(q{document.body.dataset.state === 'ok'}, 'it goes on when the database is back');
is($browser->value(q{document.getElementById('banner').hidden}), JSON::PP::true, 'without the warning');
is($panel->stop, 0, 'the panel ends');
$browser->wait_for(q{document.body.dataset.state === 'unreachable'}, 'the page notices that, too');
like($browser->value(q{document.getElementById('banner').innerText}),
    qr/panel cannot be reached.*is old/i, 'and says so');
$browser->stop;

$reader->stop;
done_testing();
