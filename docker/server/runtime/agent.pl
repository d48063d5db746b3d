# HAProxy's agent-check: whoever connects is told what FILE says, whether to send requests here.
# usage: agent.pl PORT FILE
use strict;
use warnings;
use IO::Socket::INET;

my ($port, $file) = @ARGV;
$SIG{PIPE} = 'IGNORE';
my $socket = IO::Socket::INET->new(LocalPort => $port, Listen => 16, ReuseAddr => 1)
    or die "bitnet-server: DRAIN_PORT=$port: $@\n";
while (1) {
    my $client = $socket->accept or next;
    if (open my $state, '<', $file) {
        print {$client} readline $state;
    }
    close $client;
}
