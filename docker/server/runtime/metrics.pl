# What llama-server does not tell Prometheus: how much memory it has.
# usage: metrics.pl PORT PID
use strict;
use warnings;
use IO::Socket::INET;

my ($port, $pid) = @ARGV;
$SIG{$_} = 'IGNORE' for qw(PIPE ALRM);
my $socket = IO::Socket::INET->new(LocalPort => $port, Listen => 16, ReuseAddr => 1)
    or die "bitnet-server: METRICS_PORT=$port: $@\n";
while (1) {
    my $client = $socket->accept or next;
    # A client that sends nothing must not keep the others waiting.
    eval { local $SIG{ALRM} = sub { die }; alarm 2; while (<$client>) { last if /^\r?$/ } alarm 0 };
    my $metrics = metrics();
    print {$client} "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n",
        'Content-Length: ', length $metrics, "\r\nConnection: close\r\n\r\n", $metrics;
    close $client;
}

sub metrics {
    my %field = (VmRSS => 'resident', VmLck => 'locked');
    open my $status, '<', "/proc/$pid/status" or return '';
    return join '', map {
        /^(VmRSS|VmLck):\s*(\d+) kB/ ? "# TYPE bitnet_replica_$field{$1}_memory_bytes gauge\n"
            . "bitnet_replica_$field{$1}_memory_bytes " . $2 * 1024 . "\n" : ()
    } <$status>;
}
