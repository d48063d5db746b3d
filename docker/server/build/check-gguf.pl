# Refuses a file that is no whole GGUF of a BitNet model which the engine computes rightly. Prints what there is to know
# of a good one: its name, its context length, the type of its weights and those that suit its embedding and output
# matrix, that of its KV cache, and what of it the converter has left out.
# usage: check-gguf.pl FILE     Environment: MODEL_URL, ENGINE (unset: whatever at least one of the engines computes)
# In Perl, because that is in every Debian image.
# components/model has the same rules, with where they come from; there they spare a build, here they guard every image.
use strict;
use warnings;
use lib $0 =~ m{(.*)/} ? $1 : '.';    # this folder; perl-base, all that the image has, lacks FindBin
use Gguf;

my ($path) = @ARGV;
my ($engine, $url) = @ENV{qw(ENGINE MODEL_URL)};

# The types that weights of one bit, or of three values, come in.
my %ternary = (
    34  => 'TQ1_0', 35 => 'TQ2_0', 36 => 'I2_S', 38 => 'TL1', 41 => 'Q1_0', 42 => 'Q2_0',
    134 => 'IQ1_BN', 135 => 'IQ2_BN', 142 => 'PQ2_0', 143 => 'PTQ1_0',
);
# Those that no engine here can compute.
my %unsupported = (
    TL1 => 'its kernels are generated for the matrix sizes of one model, and not compiled in',
    Q2_0 => 'neither engine has it; Ternary-Bonsai models are published in it',
    PQ2_0 => 'it is PrismML\'s own, with rotated weights that only its fork of llama.cpp computes (Ternary-Bonsai-2)',
    PTQ1_0 => 'it is PrismML\'s own, with rotated weights that only its fork of llama.cpp computes (Ternary-Bonsai-2)',
);
my @bitnet = qw(bitnet-b1.58 bitnet-25 bitnet llama);
# By architecture the types that the engine computes rightly, as they are or converted.
my %engines = (
    'bitnet.cpp'   => {types => {map { $_ => ['I2_S'] } @bitnet}, tokenizers => []},
    'ik_llama.cpp' => {
        types => {(map { $_ => [qw(I2_S TQ1_0 TQ2_0 IQ1_BN IQ2_BN)] } @bitnet), qwen3 => ['Q1_0']},
        tokenizers => ['falcon_e'],
    },
);

# Bytes of a row of N weights, by type: blocks of so many weights take so many bytes, and the row takes some more.
my %layouts = (
    0  => [1, 4], 1 => [1, 2], 30 => [1, 2], 2 => [32, 18], 3 => [32, 20], 6 => [32, 22], 7 => [32, 24], 8 => [32, 34],
    10 => [256, 84], 11 => [256, 110], 12 => [256, 144], 13 => [256, 176], 14 => [256, 210],
    34 => [256, 54], 35 => [256, 66], 36 => [4, 1], 41 => [128, 18], 134 => [64, 13, 2], 135 => [64, 16, 4],
);

# Widths of heads for which ik_llama.cpp's flash attention reads keys and values in Q8_0 (patch-engine.sh).
my %quantisedCache = map { $_ => 1 } 64, 96, 128, 256;

# In ggml's own letters: ik_llama.cpp's llama-quantize takes no others, and says nothing.
my %quantised = (
    2  => 'q4_0', 3 => 'q4_1', 6 => 'q5_0', 7 => 'q5_1', 8 => 'q8_0',
    10 => 'q2_K', 11 => 'q3_K', 12 => 'q4_K', 13 => 'q5_K', 14 => 'q6_K',
);

sub refuse { die "MODEL_URL=$url: it is not a model that can be served: $_[0]\n" }

$engines{$engine} or die "ENGINE=$engine: there is no such engine; use @{[join ' or ', sort keys %engines]}\n"
    if defined $engine;

my $model = readGguf($path, \&refuse);
my %metadata = %{$model->{keys}};
my @tensors = @{$model->{tensors}};
my $weights = checkModel();
checkEnd();
printFacts();

# Returns the type of the weights.
sub checkModel {
    my %types;
    for my $tensor (@tensors) {
        $types{$tensor->{type}}++
            if $tensor->{name} =~ /^blk\.\d+\.(attn_(q|k|v|qkv|output)|ffn_(gate|up|down))\.weight$/;
    }
    my @types = sort { $a <=> $b } keys %types;
    my $found = join(', ', map { ($ternary{$_} // "ggml type $_") . " ($types{$_})" } @types) || 'none';
    for my $type (map { $ternary{$_} // '' } @types) {
        refuse("its weights are $type: $unsupported{$type}") if $unsupported{$type};
    }
    my $architecture = $metadata{'general.architecture'} // refuse('its header names no architecture');
    my @architectures = sort keys %{{map { %{$_->{types}} } defined $engine ? $engines{$engine} : values %engines}};
    refuse("its architecture is $architecture, which is not run here; these are: @architectures")
        unless grep { $_ eq $architecture } @architectures;
    refuse('its weights are rotated (prism.hadamard), which only PrismML\'s fork of llama.cpp undoes')
        if grep { /^prism\./ } keys %metadata;
    for my $key (qw(context_length block_count embedding_length attention.head_count)) {
        refuse("its header lacks $architecture.$key") unless ($metadata{"$architecture.$key"} // 0) > 0;
    }
    my $alignment = $metadata{'general.alignment'} // 32;
    refuse("its tensors are aligned to $alignment bytes, and the engines' llama-quantize writes 32; convert it again")
        if $alignment != 32;
    refuse('one part of several; join them with llama-gguf-split') if ($metadata{'split.count'} // 0) > 1;

    refuse("no BitNet model; the types of its linear layers are $found, and should all be one of "
            . join(', ', grep { !$unsupported{$_} } map { $ternary{$_} } sort { $a <=> $b } keys %ternary))
        if @types != 1 || !$ternary{$types[0]};
    for my $tensor (grep { $_->{name} =~ /^(token_embd|output)\.weight$/ } @tensors) {
        my $type = $ternary{$tensor->{type}} // next;
        refuse("its $tensor->{name} is of the type $type, which no engine here looks tokens up in")
            if $type ne 'Q1_0' || $types[0] != 41;
    }
    checkEngine($architecture, $ternary{$types[0]}) if defined $engine;
    return $ternary{$types[0]};
}

sub checkEngine {
    my ($architecture, $weights) = @_;
    my $tokenizers = $engines{$engine}{tokenizers};
    my @types = @{$engines{$engine}{types}{$architecture}};
    my $tokenizer = $metadata{'tokenizer.ggml.pre'} // '';
    refuse("its tokenizer is $tokenizer, which the engine $engine does not know")
        if grep { $_ eq $tokenizer } @$tokenizers;
    refuse("its weights are $weights, which the engine $engine was not shown to compute rightly; of the architecture"
            . " $architecture it takes @types")
        unless grep { $_ eq $weights } @types;
}

sub checkEnd {
    my ($start, $size) = @{$model}{qw(dataStart size)};
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
    my $width = $metadata{"$architecture.attention.key_length"}
        // $metadata{"$architecture.embedding_length"} / $metadata{"$architecture.attention.head_count"};
    printf "kv_cache=%s\n", ($engine // '') eq 'ik_llama.cpp' && $quantisedCache{$width} ? 'q8_0' : 'f16';
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
