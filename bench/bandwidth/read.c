// Bytes per second that so many threads together read from memory, the best of ten passes over a buffer that no cache
// holds: what weights that are read once for each token can hope for.
// usage: read THREADS BYTES
#include <omp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t sum(const uint64_t *words, size_t count) {
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) total += words[i];
    return total;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int threads = atoi(argv[1]);
    size_t words = strtoull(argv[2], NULL, 10) / sizeof(uint64_t);
    size_t share = words / threads;
    uint64_t *buffer = malloc(words * sizeof(uint64_t));
    if (buffer == NULL) return 1;
    omp_set_num_threads(threads);

    // Each thread writes its own share first: that is when the system gives it memory, near by.
#pragma omp parallel
    for (size_t i = 0, start = omp_get_thread_num() * share; i < share; i++) buffer[start + i] = start + i;

    double best = 0;
    uint64_t check = 0;
    for (int pass = 0; pass < 10; pass++) {
        double began = omp_get_wtime();
#pragma omp parallel reduction(+ : check)
        check += sum(buffer + omp_get_thread_num() * share, share);
        double rate = share * threads * sizeof(uint64_t) / (omp_get_wtime() - began);
        if (rate > best) best = rate;
    }
    fprintf(stderr, "%llu\n", (unsigned long long)check); // or the compiler would leave the reading out
    printf("%.0f\n", best);
    return 0;
}
