# Ends as soon as a server makes no progress, and prints why: within STALL seconds if it has something to do and does not
# compute, within HANG seconds if it says nothing although it computes, as threads do that wait for each other and spin.
# Prints nothing if the server ends.
# usage: await-stall.pl PID STALL HANG     Environment: PORT (8080), API_KEY_FILE (may be unset)
#
# /metrics is asked every second: its answer comes from the server's main loop, while a thread of its HTTP server may still
# answer /health when that loop is stuck, and it counts the requests. Between two steps alone does a busy server answer it,
# and a step may take a minute; but a busy server computes. Looks are counted, not time: where the whole machine stood
# still, nobody was late. A question that waits behind clients, who hold all threads for HTTP, is no sign of work: or anybody
# could have the server ended at once by sending it half a request many times. But it is silence: after HANG seconds in which
# nobody got an answer, ending the server frees it of such clients, and of requests that it would never finish.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;

my ($pid, $stall, $hang) = @ARGV;
my $interval = 0.5;
my $port = $ENV{PORT} // 8080;
my $request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" . authorization() . "\r\n";
$SIG{PIPE} = 'IGNORE';

# Looks in a row, and how many requests the server has, as it said last. A question that it has not answered is one itself.
my ($idle, $silent, $requests) = (0, 0, 0);
my ($question, $seconds) = (undef, cpu_seconds());
for (my $look = 0; defined $seconds; $look++) {
    $question //= ask() if $look % 2 == 0;
    select undef, undef, undef, $interval;
    my $answer = $question && answer($question);
    if (defined $answer) { ($question, $silent, $requests) = (undef, 0, requests_in($answer)) }
    elsif ($question)    { ($silent, $requests) = ($silent + 1, waits_behind_clients($question) ? 0 : 1) }

    my $before = $seconds;
    $seconds = cpu_seconds() // last;
    my $computes = $seconds - $before > 0.05 * $interval || has_thread(qr/[RD]/);
    $idle = $requests && !$computes ? $idle + 1 : 0;

    finish('has something to do and does not compute', $idle) if $idle * $interval >= $stall;
    finish('has not answered', $silent) if $silent * $interval >= $hang;
}

sub finish {
    my ($what, $looks) = @_;
    printf "llama-server %s for %d s", $what, $looks * $interval;
    exit 0;
}

sub authorization {
    return '' if !$ENV{API_KEY_FILE};
    open my $file, '<', $ENV{API_KEY_FILE} or return '';
    chomp(my $key = readline $file);
    return "Authorization: Bearer $key\r\n";
}

# A connection that was asked. Nothing here waits for the server: the kernel takes both, even if the server is halted.
sub ask {
    my $socket = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 1) or return { text => '' };
    $socket->blocking(0);
    syswrite $socket, $request;
    return { socket => $socket, text => '' };
}

# All of the answer; undefined until it has come. A connection that was not taken, or was cut, is asked anew.
sub answer {
    my ($question) = @_;
    if (!$question->{socket}) {
        %$question = %{ ask() };
        return;
    }
    while (IO::Select->new($question->{socket})->can_read(0)) {
        my $read = sysread $question->{socket}, $question->{text}, 65536, length $question->{text};
        last if !defined $read;
        next if $read > 0;
        return $question->{text} if $question->{text} =~ /^HTTP\S+ 200 /;
        %$question = %{ ask() };
        return;
    }
    return;
}

sub requests_in {
    my ($metrics) = @_;
    my $sum = 0;
    $sum += $1 while $metrics =~ /^llamacpp:requests_(?:processing|deferred) (\d+)/mg;
    return $sum;
}

# That all of its threads have computed; undefined if it has ended.
sub cpu_seconds {
    my @fields = stat_of("/proc/$pid/stat") or return;
    return ($fields[11] + $fields[12]) / 100; # proc_pid_stat(5); USER_HZ is 100 on every architecture that we build for
}

# Has the server taken the connection, but read nothing of it? Its listener takes all at once, and then they wait for a
# thread. A halted server takes none, unless it was halted in between.
sub waits_behind_clients {
    my ($question) = @_;
    my $socket = $question->{socket} or return 0;
    # 127.0.0.1 as the kernel writes it on little-endian machines, which all are that we build for.
    my $ports = sprintf '^ *\d+: 0100007F:%04X 0100007F:%04X ', $port, $socket->sockport;
    open my $connections, '<', '/proc/net/tcp' or return 0;
    my ($server_end) = grep { /$ports/ } readline $connections or return 0;
    my ($queues, $inode) = (split ' ', $server_end)[4, 9]; # proc_net(5); without an inode it was not taken
    my ($unread) = $queues =~ /:(\w+)/;
    return hex $unread > 0 && $inode != 0 && !has_thread(qr/[Tt]/);
}

# Is a thread in such a state? R runs or waits for a CPU, D waits for the disk (on a machine that has much else to do it
# gets little time); T and t are halted.
sub has_thread {
    my ($wanted) = @_;
    for my $thread (glob "/proc/$pid/task/*/stat") {
        my ($state) = stat_of($thread) or next;
        return 1 if $state =~ $wanted;
    }
    return 0;
}

# The fields after the name, which may have spaces and brackets in it.
sub stat_of {
    my ($path) = @_;
    open my $file, '<', $path or return;
    defined(my $line = readline $file) or return;
    return split ' ', $line =~ s/^.*\)//r;
}
