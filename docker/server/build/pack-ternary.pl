# Writes a model with weights in TQ1_0 or TQ2_0 as one with the same weights in IQ2_BN, which ik_llama.cpp has. The former
# have a scale for each block of 256 weights, IQ2_BN one for each row: a row with several is refused, as it would change.
# usage: pack-ternary.pl IN OUT     Environment: MODEL_URL
# Layouts: ggml-quants.c of llama.cpp (dequantize_row_tq1_0, dequantize_row_tq2_0), iqk_quantize.cpp of ik_llama.cpp
# (quantize_one_row_2bn). In Perl, because that is in every Debian image; fast, because tr works on whole strings.
use strict;
use warnings;
use lib $0 =~ m{(.*)/} ? $1 : '.';    # this folder; perl-base, all that the image has, lacks FindBin
use Gguf;

my ($in, $out) = @ARGV;
my ($TQ1_0, $TQ2_0, $IQ2_BN) = (34, 35, 135);
my $zeros = "\x55" x 64;    # 256 weights of 0
my %translations;

sub refuse { die "MODEL_URL=$ENV{MODEL_URL}: it is not a model that can be served: $_[0]\n" }

my $model = readGguf($in, \&refuse);
my @tensors = @{$model->{tensors}};
my @offsets = sort { $a <=> $b } map { $_->{offset} } @tensors;
open my $from, '<:raw', $in or die "$in: $!\n";
open my $to, '>:raw', $out or die "$out: $!\n";
writeHeader();
for my $tensor (@tensors) {
    seek $from, $model->{dataStart} + $tensor->{offset}, 0;
    if (isTernary($tensor)) { packTensor($tensor) } else { copy(lengthInFile($tensor)) }
    pad();
}
close $to or die "$out: $!\n";

sub isTernary { return $_[0]{type} == $TQ1_0 || $_[0]{type} == $TQ2_0 }
sub put { print {$to} @_ or die "$out: $!\n" }
sub pad { put("\0" x (-tell($to) % 32)) }

sub copy {
    my ($left) = @_;
    while ($left > 0) {
        my $length = read($from, my $bytes, $left < 1 << 22 ? $left : 1 << 22) or die "$in: $!\n";
        put($bytes);
        $left -= $length;
    }
}

# To where the next tensor begins.
sub lengthInFile {
    my ($offset) = $_[0]{offset};
    my ($next) = grep { $_ > $offset } @offsets;
    return ($next // $model->{size} - $model->{dataStart}) - $offset;
}

sub rowsOf {
    my (undef, @others) = @{$_[0]{dims}};
    my $rows = 1;
    $rows *= $_ for @others;
    return $rows;
}

# As it was, but for the types and for where data begin.
sub writeHeader {
    copy($model->{keysEnd});
    my $offset = 0;
    for my $tensor (@tensors) {
        my ($name, @dims) = ($tensor->{name}, @{$tensor->{dims}});
        my $type = isTernary($tensor) ? $IQ2_BN : $tensor->{type};
        put(pack('Q<', length $name), $name, pack('L< Q<*', scalar @dims, @dims), pack('L< Q<', $type, $offset));
        my $length = isTernary($tensor) ? rowsOf($tensor) * (4 + $dims[0] / 4) : lengthInFile($tensor);
        $offset += $length + (-$length % 32);
    }
    pad();
}

sub packTensor {
    my ($tensor) = @_;
    my $blocks = $tensor->{dims}[0] / 256;
    my ($blockBytes, $pack) = $tensor->{type} == $TQ1_0 ? (54, \&packTq1) : (66, \&packTq2);
    my $left = rowsOf($tensor);
    while ($left > 0) {
        my $rows = $left < 64 ? $left : 64;
        my $length = $rows * $blocks * $blockBytes;
        (read($from, my $bytes, $length) // -1) == $length or die "$in: $!\n";
        my ($packed, @scales) = $pack->($bytes);
        substr($packed, $_ * 64, 64) = $zeros for grep { !($scales[$_] & 0x7fff) } 0 .. $#scales;
        for my $row (0 .. $rows - 1) {
            my $scale = scaleOf($tensor, @scales[$row * $blocks .. ($row + 1) * $blocks - 1]);
            put(pack('f<', half($scale)), substr($packed, $row * $blocks * 64, $blocks * 64));
        }
        $left -= $rows;
    }
}

# The one scale of a row's blocks; a block without one is all zeros.
sub scaleOf {
    my ($tensor, @scales) = @_;
    my %different = map { $_ => 1 } grep { $_ & 0x7fff } @scales;
    my ($scale, @more) = keys %different;
    refuse("a row of $tensor->{name} has blocks of different scales: it was not ternary when it was quantised") if @more;
    return $scale // 0;
}

# A floating-point number of 16 bits.
sub half {
    my ($bits) = @_;
    my ($exponent, $fraction) = ($bits >> 10 & 0x1f, $bits & 0x3ff);
    my $size = $exponent ? (1 + $fraction / 1024) * 2**($exponent - 15) : $fraction * 2**-24;
    return $bits & 0x8000 ? -$size : $size;
}

# Both return weights in IQ2_BN, and their blocks' scales. Blocks are taken to pieces of sixteen weights, one to a byte: the
# first sixteen of each block, the second, and so on.

# A block: 64 bytes of four weights each, and the scale.
sub packTq2 {
    my ($blocks) = @_;
    my @parts = columns(5, unpack('(a16 a16 a16 a16 S<)*', $blocks));
    my @scales = @{pop @parts};
    my @bytes = map { join '', @$_ } @parts;
    my @sixteens = map { twoBits($_ >> 1 & 3, $_ % 4)->($bytes[2 * ($_ >> 3) + ($_ & 1)]) } 0 .. 15;
    return (joined(@sixteens), @scales);
}

# A block: 48 bytes of five weights each, the first 32 and the last 16 by themselves, 4 of four, and the scale.
sub packTq1 {
    my ($blocks) = @_;
    my @parts = columns(5, unpack('(a16 a16 a16 a4 S<)*', $blocks));
    my @scales = @{pop @parts};
    my @bytes = map { join '', @$_ } @parts;
    my @sixteens = (
        (map { digit($_ >> 1, $_ % 4)->($bytes[$_ & 1]) } 0 .. 9),
        (map { digit($_ - 10, $_ % 4)->($bytes[2]) } 10 .. 14),
    );
    my @fours = map { [unpack '(a4)*', digit($_, 3)->($bytes[3])] } 0 .. 3;
    my $last = join '', map { my $block = $_; map { $_->[$block] } @fours } 0 .. $#scales;
    return (joined(@sixteens, $last), @scales);
}

# A list of rows as a list of columns.
sub columns {
    my ($count, @values) = @_;
    return map { my $first = $_; [map { $values[$first + $count * $_] } 0 .. @values / $count - 1] } 0 .. $count - 1;
}

# Sixteen bytes of IQ2_BN are four sixteens over each other.
sub joined {
    my (@sixteens) = @_;
    my @quarters = map { [unpack '(a16)*', $sixteens[$_] | $sixteens[$_ + 1] | $sixteens[$_ + 2] | $sixteens[$_ + 3]] }
        (0, 4, 8, 12);
    return join '', map { my $block = $_; map { $_->[$block] } @quarters } 0 .. $#{$quarters[0]};
}

# Functions from a string to one in which each byte is one of the weights that it held, 0, 1 or 2, at its place among four.
sub twoBits {
    my ($index, $place) = @_;
    return translation("two $index $place", sub { ($_[0] >> 2 * $index & 3) << 2 * $place });
}
sub digit {
    my ($index, $place) = @_;
    return translation("digit $index $place", sub { (($_[0] * 3**$index & 0xff) * 3 >> 8) << 2 * $place });
}



sub translation {
    my ($name, $of) = @_;
    return $translations{$name} //= do {
        my $to = join '', map { sprintf '\\x%02x', $of->($_) } 0 .. 255;
        eval "sub { \$_[0] =~ tr/\\x00-\\xff/$to/r }" or die $@;    # tr takes no variables
    };
}
