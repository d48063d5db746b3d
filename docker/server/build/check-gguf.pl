# Refuses a file that is no whole GGUF of a BitNet model which the engine computes rightly. Prints what there is to know
# of a good one: its name, its context length, the type of its weights and those that suit its embedding and output
# matrix, and what of it the converter has left out.
# usage: check-gguf.pl FILE     Environment: MODEL_URL, ENGINE (unset: whatever at least one of the engines computes)
# In Perl, because that is in every Debian image.
# components/model has the same rules, with where they come from; there they spare a build, here they guard every image.
use strict;
use warnings;

my ($path) = @ARGV;
my ($engine, $url) = @ENV{qw(ENGINE MODEL_URL)};

my %ternary = (34 => 'TQ1_0', 35 => 'TQ2_0', 36 => 'I2_S', 38 => 'TL1', 39 => 'TL2', 134 => 'IQ1_BN', 135 => 'IQ2_BN');
my %engines = (
    'bitnet.cpp'   => {types => ['I2_S'], tokenizers => []},
    'ik_llama.cpp' => {types => ['I2_S', 'IQ1_BN', 'IQ2_BN'], tokenizers => ['falcon_e']},
);
my @architectures = qw(bitnet-b1.58 bitnet-25 bitnet llama);

# Bytes of a row of N weights, by type: blocks of so many weights take so many bytes, and the row takes some more.
my %layouts = (
    0  => [1, 4], 1 => [1, 2], 30 => [1, 2], 2 => [32, 18], 3 => [32, 20], 6 => [32, 22], 7 => [32, 24], 8 => [32, 34],
    10 => [256, 84], 11 => [256, 110], 12 => [256, 144], 13 => [256, 176], 14 => [256, 210],
    36 => [4, 1], 134 => [64, 13, 2], 135 => [64, 16, 4],
);

# In ggml's own letters: ik_llama.cpp's llama-quantize takes no others, and says nothing.
my %quantised = (
    2  => 'q4_0', 3 => 'q4_1', 6 => 'q5_0', 7 => 'q5_1', 8 => 'q8_0',
    10 => 'q2_K', 11 => 'q3_K', 12 => 'q4_K', 13 => 'q5_K', 14 => 'q6_K',
);

sub refuse { die "MODEL_URL=$url: it is not a model that can be served: $_[0]\n" }

$engines{$engine} or die "ENGINE=$engine: there is no such engine; use @{[join ' or ', sort keys %engines]}\n"
    if defined $engine;
my $size = -s $path || 0;
open my $file, '<:raw', $path or die "$path: $!\n";

sub take {
    my ($length) = @_;
    my $left = $size - tell $file;
    refuse("it is truncated or damaged: its header goes on past its end, byte $size") if $length > $left;
    (read($file, my $bytes, $length) // -1) == $length or die "$path: $!\n";
    return $bytes;
}
sub number { my ($format, $length) = @_; return unpack $format, take($length) }
sub text { return take(number('Q<', 8)) }

checkStart();
my %metadata = readMetadata();
my @tensors = readTensors();
my $weights = checkModel();
checkEnd();
printFacts();

# The first bytes: is it GGUF, and one that the engines read? Says what it is instead, where that can be seen.
sub checkStart {
    refuse('the file is empty') if $size == 0;
    my $start = take($size < 512 ? $size : 512);
    if (substr($start, 0, 4) ne 'GGUF') {
        refuse('a web page (HTML); on Hugging Face the file itself is at .../resolve/main/FILE, not .../blob/main/FILE')
            if $start =~ /^\s*<(!doctype|html|\?xml)/i;
        refuse('a Git LFS pointer, not the file itself; `git lfs pull` fetches that') if $start =~ /^version https:..git-lfs/;
        refuse('safetensors, not GGUF; convert it with the engine\'s own script') if $start =~ /^.{8}\{"/s;
        refuse('it does not begin with "GGUF"');
    }
    refuse("it is truncated: $size bytes are less than a GGUF header") if $size < 24;
    seek $file, 4, 0;
    my $version = number('L<', 4);
    refuse('a big-endian GGUF, made for another kind of machine') if $version != 0 && ($version & 0xffff) == 0;
    refuse("a GGUF of version $version; versions 2 and 3 are understood, convert it again")
        if $version != 2 && $version != 3;
}

sub readMetadata {
    my $tensors = number('Q<', 8);
    my $keys = number('Q<', 8);
    # Names, types and sizes take at least 24 bytes for a tensor and 13 for a key.
    refuse("its header claims $tensors tensors and $keys keys, more than $size bytes can hold; it is damaged")
        if $tensors > $size / 24 || $keys > $size / 13;
    $metadata{''} = $tensors;
    for (1 .. $keys) {
        my $key = text();
        my $kind = number('L<', 4);
        # The engines end at any other kind, which is a number of 32 bits without a sign.
        refuse('its header has general.alignment of another kind than uint32; convert it again')
            if $key eq 'general.alignment' && $kind != 4;
        my $value = value($kind, $key);
        $metadata{$key} = $value if $key ne 'general.name' || $kind == 8;
    }
    return %metadata;
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
    refuse("its header has a value of an unknown kind, $kind, for $key; it is damaged") if $kind != 9;
    my ($of, $count) = (number('L<', 4), number('Q<', 8));
    if (my $format = $formats{$of}) {
        take($format->[1] * $count);
    } else {
        value($of, $key) for 1 .. $count;
    }
    return $count;
}

sub readTensors {
    return map {
        my $name = text();
        my $count = number('L<', 4);
        refuse("its header gives $name $count dimensions; it is damaged") if $count < 1 || $count > 4;
        my @dims = map { number('Q<', 8) } 1 .. $count;
        {name => $name, dims => \@dims, type => number('L<', 4), offset => number('Q<', 8)};
    } 1 .. delete $metadata{''};
}

# Returns the type of the weights.
sub checkModel {
    my $architecture = $metadata{'general.architecture'} // refuse('its header names no architecture');
    refuse("its architecture is $architecture, which the engines do not run; they run @architectures")
        unless grep { $_ eq $architecture } @architectures;
    for my $key (qw(context_length block_count embedding_length attention.head_count)) {
        refuse("its header lacks $architecture.$key") unless ($metadata{"$architecture.$key"} // 0) > 0;
    }
    my $alignment = $metadata{'general.alignment'} // 32;
    refuse("its tensors are aligned to $alignment bytes, and the engines' llama-quantize writes 32; convert it again")
        if $alignment != 32;
    refuse('one part of several; join them with llama-gguf-split') if ($metadata{'split.count'} // 0) > 1;

    my %types;
    for my $tensor (@tensors) {
        $types{$tensor->{type}}++
            if $tensor->{name} =~ /^blk\.\d+\.(attn_(q|k|v|qkv|output)|ffn_(gate|up|down))\.weight$/;
    }
    my @types = sort { $a <=> $b } keys %types;
    my $found = join(', ', map { ($ternary{$_} // "ggml type $_") . " ($types{$_})" } @types) || 'none';
    refuse("no BitNet model; the types of its linear layers are $found, and should all be one of "
            . join(', ', map { $ternary{$_} } sort { $a <=> $b } keys %ternary))
        if @types != 1 || !$ternary{$types[0]};
    checkEngine($ternary{$types[0]}) if defined $engine;
    return $ternary{$types[0]};
}

sub checkEngine {
    my ($weights) = @_;
    my ($types, $tokenizers) = @{$engines{$engine}}{qw(types tokenizers)};
    my $tokenizer = $metadata{'tokenizer.ggml.pre'} // '';
    refuse("its tokenizer is $tokenizer, which the engine $engine does not know")
        if grep { $_ eq $tokenizer } @$tokenizers;
    refuse("its weights are $weights, which the engine $engine was not shown to compute rightly; it takes @$types")
        unless grep { $_ eq $weights } @$types;
}

sub checkEnd {
    my $start = tell($file) + (-tell($file) % 32);
    for my $tensor (@tensors) {
        my ($row, @others) = @{$tensor->{dims}};
        my $length = rowBytes($tensor->{type}, $row);
        $length *= $_ for @others;
        $length += 32 if $tensor->{type} == 36;
        my $end = $start + $tensor->{offset} + $length;
        refuse("it is truncated: it has $size bytes, and $tensor->{name} ends at byte $end") if $end > $size;
    }
}

sub rowBytes {
    my ($type, $row) = @_;
    my ($block, $bytes, $more) = @{$layouts{$type} // [1, 0]};
    return int(($row + $block - 1) / $block) * $bytes + ($more // 0);
}

sub printFacts {
    my $architecture = $metadata{'general.architecture'};
    printf "name=%s\ncontext_length=%d\nweights=%s\n", servedName(), $metadata{"$architecture.context_length"}, $weights;
    my %vocabulary = map { $_->{name} => vocabularyType($_) } grep { $_->{name} =~ /^(token_embd|output)\.weight$/ } @tensors;
    my $embedding = $vocabulary{'token_embd.weight'} // 'q6_K';
    printf "embedding=%s\noutput=%s\n", $embedding, $vocabulary{'output.weight'} // $embedding;
    # Microsoft's utils/convert-ms-to-gguf-bitnet.py writes the same template into every model, and not the model's own.
    return if ($metadata{'tokenizer.chat_template'} // '') !~ /BITNETAssistant/;
    print "chat_template=placeholder\n";
    # It leaves out, too, how text is split before it is looked up (microsoft/BitNet's pull request 508).
    print "pre_tokenizer=missing\n" if !defined $metadata{'tokenizer.ggml.pre'};
}

# The name is the repository's on Hugging Face, or else the model's own, or else the file's: of letters that are safe
# everywhere, and without a URL's query, which may be a secret.
sub servedName {
    my ($repository) = $url =~ m{^https://huggingface\.co/[^/]+/([^/]+)/resolve/};
    my $address = $url =~ m{^https?://}i ? $url =~ s/[?#].*//sr : $url;
    for my $name ($repository, $metadata{'general.name'}, $address =~ s{^.*/}{}sr) {
        my $safe = ($name // '') =~ s/[.-]gguf\z//ir =~ s{[^A-Za-z0-9._:/-]+}{-}gr =~ s/^[^A-Za-z0-9]+//r;
        $safe = substr($safe, 0, 100) =~ s/-+\z//r;
        return $safe if $safe ne '';
    }
    return 'bitnet';
}

# The type that an embedding or output matrix becomes: its own, if that is no larger than Q6_K, of which a row has to be
# made of blocks of 256, or Q8_0.
sub vocabularyType {
    my ($tensor) = @_;
    my ($type, $row) = ($tensor->{type}, $tensor->{dims}[0]);
    my $becomes = $row % 256 ? 8 : 14;
    return $quantised{$quantised{$type} && rowBytes($type, $row) <= rowBytes($becomes, $row) ? $type : $becomes};
}
