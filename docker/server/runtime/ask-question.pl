# Asks the model one question and compares the answer. If it is not as expected, says so and fails.
# usage: ask-question.pl SECONDS QUESTION [ANSWER]     ANSWER: the exact text expected; without it any text will do.
# Environment: see ask.sh. Perl's JSON modules are not in the image: what is needed of JSON is here.
use strict;
use warnings;

my ($seconds, $question, $expected) = @ARGV;
my $exact = defined $expected && $expected ne '';
my ($here) = $0 =~ m{^(.*)/};

# No text has more tokens than bytes, and a model of bad weights would go on for ever. Where any text will do, a few words.
my $tokens = $exact ? length($expected) + 16 : 32;
my $body = sprintf '{"model":"bitnet","temperature":0,"max_tokens":%d,"messages":[{"role":"user","content":"%s"}]}',
    $tokens < 1024 ? $tokens : 1024, escape($question);
open my $reply, '-|', "$here/ask.sh", $seconds, '/v1/chat/completions', $body or die "bitnet-server: ask.sh: $!\n";
my $json = do { local $/; readline $reply };
my $came = close $reply;
$json = '' unless defined $json;

my ($content) = $json =~ /"content"\s*:\s*"((?:[^"\\]|\\.)*)"/s;
my $answer = $came && defined $content ? unescape($content) : '';
exit 0 if $exact ? $answer eq $expected : $answer =~ /\S/;

printf STDERR "bitnet-server: the model does not answer as it should, so this server is of no use\n"
    . "  asked: %s\n  expected: %s\n  answered: %s\n",
    map { escape($_) } $question, $exact ? $expected : 'any text',
    $answer ne '' ? $answer : $json ne '' ? $json : "nothing in $seconds s";
exit 1;

sub escape {
    my ($text) = @_;
    $text =~ s/(["\\])/\\$1/g;
    $text =~ s/([\x00-\x1f])/sprintf '\u%04x', ord $1/ge;
    return $text;
}

sub unescape {
    my ($text) = @_;
    my %control = (b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");
    $text =~ s{\\u(d[89ab]..)\\u(d[c-f]..)|\\u(....)|\\(.)}{
        defined $4 ? $control{$4} // $4
      : defined $3 ? utf8_of(hex $3)
      :              utf8_of(0x10000 + ((hex($1) - 0xD800) << 10) + hex($2) - 0xDC00)
    }gise;
    return $text;
}

sub utf8_of {
    my $character = chr $_[0];
    utf8::encode($character);
    return $character;
}
