#!/usr/bin/perl
# Gives HAProxy a certificate while it runs: its port stays open, and so do its connections. What comes on stdin, in PEM, the
# certificate, the rest of its chain and the key, is written to the file TLS, for HAProxy's next start, and told to the
# HAProxy that runs (management.txt, "set ssl cert"). What it refuses, the file does not keep.
use strict;
use warnings;
use IO::Socket::UNIX;

my $file = $ENV{TLS} or die "TLS is not set\n";
my $patience = 30;
# An empty line ends what HAProxy is told.
my $pem = join '', map { s/\s+\z//r . "\n" } grep { /\S/ } <STDIN>;
my $before = -e $file ? contents($file) : undef;

write_file($pem);
my $installed = eval {
    order("set ssl cert $file <<\n$pem\n", qr/Transaction (?:created|updated)/);
    order("commit ssl cert $file\n", qr/Success/);
    1;
};
if (!$installed) {
    my $error = $@;
    write_file($before) if defined $before;
    die $error;
}

sub contents {
    my ($path) = @_;
    open my $old, '<', $path or die "$path: $!\n";
    local $/;
    return readline $old;
}

# All of it or nothing, and readable by HAProxy's user alone.
sub write_file {
    my ($text) = @_;
    umask 0077;
    open my $new, '>', "$file.new" or die "$file.new: $!\n";
    print {$new} $text and close $new or die "$file.new: $!\n";
    rename "$file.new", $file or die "$file: $!\n";
}

sub order {
    my ($command, $success) = @_;
    my $haproxy = connected();
    print {$haproxy} $command;
    $haproxy->flush;
    my $reply = do { local $/; readline $haproxy } // '';
    die "HAProxy refuses the certificate: $reply\n" if $reply !~ $success;
}

# A HAProxy that had no certificate until now starts with this one.
sub connected {
    for (my $tries = 0; $tries < $patience * 10; $tries++) {
        my $haproxy = IO::Socket::UNIX->new(Peer => '/run/haproxy.sock');
        return $haproxy if $haproxy;
        select undef, undef, undef, 0.1;
    }
    die "HAProxy does not start with the certificate\n";
}
