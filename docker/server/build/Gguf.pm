# Reads what a GGUF says of itself before its tensors' data: its keys and its list of tensors.
package Gguf;
use strict;
use warnings;
use Exporter 'import';
our @EXPORT = qw(readGguf);

my ($file, $size, $refuse);

# Returns {keys => {name => value; of a list, only its length}, tensors => [{name, dims, type, offset}],
# keysEnd => where the list of tensors begins, dataStart => where their data begins}.
# $refuse is called, and does not return, with what is wrong with the file.
sub readGguf {
    (my $path, $refuse) = @_;
    $size = -s $path || 0;
    open $file, '<:raw', $path or die "$path: $!\n";
    checkStart();
    my ($count, $keys) = readKeys();
    my $keysEnd = tell $file;
    my @tensors = map { readTensor() } 1 .. $count;
    my $end = tell $file;
    close $file;
    return {keys => $keys, tensors => \@tensors, keysEnd => $keysEnd, dataStart => $end + (-$end % 32), size => $size};
}

sub take {
    my ($length) = @_;
    my $left = $size - tell $file;
    $refuse->("it is truncated or damaged: its header goes on past its end, byte $size") if $length > $left;
    (read($file, my $bytes, $length) // -1) == $length or die "cannot read the model: $!\n";
    return $bytes;
}
sub number { my ($format, $length) = @_; return unpack $format, take($length) }
sub text { return take(number('Q<', 8)) }

# The first bytes: is it GGUF, and one that the engines read? Says what it is instead, where that can be seen.
sub checkStart {
    $refuse->('the file is empty') if $size == 0;
    my $start = take($size < 512 ? $size : 512);
    if (substr($start, 0, 4) ne 'GGUF') {
        $refuse->('a web page (HTML); on Hugging Face the file itself is at .../resolve/main/FILE, not .../blob/main/FILE')
            if $start =~ /^\s*<(!doctype|html|\?xml)/i;
        $refuse->('a Git LFS pointer, not the file itself; `git lfs pull` fetches that')
            if $start =~ /^version https:..git-lfs/;
        $refuse->('safetensors, not GGUF; convert it with the engine\'s own script') if $start =~ /^.{8}\{"/s;
        $refuse->('it does not begin with "GGUF"');
    }
    $refuse->("it is truncated: $size bytes are less than a GGUF header") if $size < 24;
    seek $file, 4, 0;
    my $version = number('L<', 4);
    $refuse->('a big-endian GGUF, made for another kind of machine') if $version != 0 && ($version & 0xffff) == 0;
    $refuse->("a GGUF of version $version; versions 2 and 3 are understood, convert it again")
        if $version != 2 && $version != 3;
}

# Returns the number of tensors, too.
sub readKeys {
    my ($tensors, $count) = (number('Q<', 8), number('Q<', 8));
    # Names, types and sizes take at least 24 bytes for a tensor and 13 for a key.
    $refuse->("its header claims $tensors tensors and $count keys, more than $size bytes can hold; it is damaged")
        if $tensors > $size / 24 || $count > $size / 13;
    my %keys;
    for (1 .. $count) {
        my $key = text();
        my $kind = number('L<', 4);
        # The engines end at any other kind, which is a number of 32 bits without a sign.
        $refuse->('its header has general.alignment of another kind than uint32; convert it again')
            if $key eq 'general.alignment' && $kind != 4;
        my $value = value($kind, $key);
        $keys{$key} = $value if $key ne 'general.name' || $kind == 8;
    }
    return ($tensors, \%keys);
}

# A value; of a list, only its length.
sub value {
    my ($kind, $key) = @_;
    my %formats = (
        0 => ['C', 1], 1 => ['c', 1], 2 => ['S<', 2], 3 => ['s<', 2], 4 => ['L<', 4], 5 => ['l<', 4], 6 => ['f<', 4],
        7 => ['C', 1], 10 => ['Q<', 8], 11 => ['q<', 8], 12 => ['d<', 8],
    );
    return text() if $kind == 8;
    return number(@{$formats{$kind}}) if $formats{$kind};
    $refuse->("its header has a value of an unknown kind, $kind, for $key; it is damaged") if $kind != 9;
    my ($of, $count) = (number('L<', 4), number('Q<', 8));
    if (my $format = $formats{$of}) {
        take($format->[1] * $count);
    } else {
        value($of, $key) for 1 .. $count;
    }
    return $count;
}

sub readTensor {
    my $name = text();
    my $count = number('L<', 4);
    $refuse->("its header gives $name $count dimensions; it is damaged") if $count < 1 || $count > 4;
    my @dims = map { number('Q<', 8) } 1 .. $count;
    return {name => $name, dims => \@dims, type => number('L<', 4), offset => number('Q<', 8)};
}

1;
