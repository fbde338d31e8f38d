"""The C code that is the same in every exported network; `c_export` has the tables and the rest."""

COUNTING = """\
/* Neurons of a block in one vector, as wide as the processor's; one at a time without vectors. */
#if defined(__GNUC__) && defined(__AVX512F__)
#define VECTOR 16
#elif defined(__GNUC__) && defined(__AVX2__)
#define VECTOR 8
#elif defined(__GNUC__) && (defined(__SSE2__) || defined(__ARM_NEON))
#define VECTOR 4
#else
#define VECTOR 1
#endif
#if VECTOR > 1
typedef uint32_t lanes __attribute__((vector_size(VECTOR * 4), aligned(4), may_alias));
#else
typedef uint32_t lanes;
#endif

/* Bytes that each hold a count of at most 8 are added up so often without a carry into the next. */
#define ROUNDS 31

/* How many ones there are in each byte of each word. */
static inline lanes ones_by_byte(lanes word)
{
    word = word - (word >> 1 & 0x55555555u);
    word = (word & 0x33333333u) + (word >> 2 & 0x33333333u);
    return (word + (word >> 4)) & 0x0f0f0f0fu;
}

static inline lanes sum_of_bytes(lanes word)
{
    word = (word & 0x00ff00ffu) + (word >> 8 & 0x00ff00ffu);
    return (word & 0xffffu) + (word >> 16);
}

/* counts[k] = the ones in inputs XOR weights of neuron k of a block, or in AND if `both`. */
static inline void count_block(const uint32_t *inputs, const uint32_t *weights, size_t words,
                               int both, uint32_t counts[LANES])
{
    for (size_t part = 0; part < LANES; part += VECTOR) {
        size_t word = 0;
        lanes total = {0};
        while (word < words) {
            lanes bytes = {0};
            const size_t end = words - word > ROUNDS ? word + ROUNDS : words;
            for (; word < end; word++) {
                const lanes row = *(const lanes *)(weights + word * LANES + part);
                bytes += ones_by_byte(both ? row & inputs[word] : row ^ inputs[word]);
            }
            total += sum_of_bytes(bytes);
        }
        *(lanes *)(counts + part) = total;
    }
}
"""
"""Needs LANES, the neurons of a block, a multiple of every VECTOR."""

SUMMING = """\
/* sums[k] = the sum of weights of several bits, whose planes are added from the top. */
static inline void sum_block(const uint32_t *inputs, const uint32_t *weights, size_t words,
                             size_t planes, int32_t sums[LANES])
{
    uint32_t counts[LANES];
    count_block(inputs, weights, words, 1, counts);
    for (size_t k = 0; k < LANES; k++)
        sums[k] = -(int32_t)counts[k];
    for (size_t plane = 1; plane < planes; plane++) {
        count_block(inputs, weights + plane * words * LANES, words, 1, counts);
        for (size_t k = 0; k < LANES; k++)
            sums[k] = 2 * sums[k] + (int32_t)counts[k];
    }
}
"""

FIRING_ONES = """\
/* outputs: a bit for each neuron of weights of one bit; it fires if at most so many differ. */
static inline void fire_ones(const uint32_t *inputs, const uint32_t *weights,
                             const int32_t *most, size_t words, size_t blocks, uint32_t *outputs)
{
    for (size_t block = 0; block < blocks; block++) {
        uint32_t counts[LANES], bits = 0;
        count_block(inputs, weights + block * words * LANES, words, 0, counts);
        for (size_t k = 0; k < LANES; k++)
            bits |= ((int32_t)counts[k] <= most[block * LANES + k] ? 0xffffffffu : 0u) & one_bit[k];
        outputs[block / 2] = block % 2 ? outputs[block / 2] | bits << LANES : bits;
    }
}
"""
"""Needs one_bit, the powers of two."""

FIRING_SUMS = """\
/* outputs: a bit for each neuron of weights of several bits. */
static inline void fire_sums(const uint32_t *inputs, const uint32_t *weights,
                             const int32_t *thresholds, size_t words, size_t planes,
                             size_t blocks, uint32_t *outputs)
{
    for (size_t block = 0; block < blocks; block++) {
        int32_t sums[LANES];
        uint32_t bits = 0;
        sum_block(inputs, weights + block * planes * words * LANES, words, planes, sums);
        for (size_t k = 0; k < LANES; k++)
            bits |= (sums[k] >= thresholds[block * LANES + k] ? 0xffffffffu : 0u) & one_bit[k];
        outputs[block / 2] = block % 2 ? outputs[block / 2] | bits << LANES : bits;
    }
}
"""

NEAREST_ONES = """\
/* The row with the largest sum less threshold, the first of equals; `most` less what differs. */
static inline size_t nearest_ones(const uint32_t *inputs, const uint32_t *weights,
                                  const int64_t *most, size_t words, size_t rows)
{
    size_t best = 0;
    int64_t largest = INT64_MIN;
    for (size_t row = 0; row < rows; row += LANES) {
        uint32_t counts[LANES];
        count_block(inputs, weights + row * words, words, 0, counts);
        for (size_t k = 0; k < LANES && row + k < rows; k++) {
            const int64_t excess = most[row + k] - (int64_t)counts[k];
            if (excess > largest) {
                largest = excess;
                best = row + k;
            }
        }
    }
    return best;
}
"""

NEAREST_SUMS = """\
/* The row with the largest sum less threshold, the first of equals. */
static inline size_t nearest_sums(const uint32_t *inputs, const uint32_t *weights,
                                  const int64_t *thresholds, size_t words, size_t planes,
                                  size_t rows)
{
    size_t best = 0;
    int64_t largest = INT64_MIN;
    for (size_t row = 0; row < rows; row += LANES) {
        int32_t sums[LANES];
        sum_block(inputs, weights + row * planes * words, words, planes, sums);
        for (size_t k = 0; k < LANES && row + k < rows; k++) {
            const int64_t excess = sums[k] - thresholds[row + k];
            if (excess > largest) {
                largest = excess;
                best = row + k;
            }
        }
    }
    return best;
}
"""

MAIN = """\
#ifdef STEPNET_MAIN
#include <stdio.h>

/* Images from standard input, a code for each to standard output. */
int main(void)
{
    static uint8_t image[PIXELS];
    while (fread(image, 1, PIXELS, stdin) == PIXELS)
        if (putchar(READ(image)) == EOF)
            return 1;
    return ferror(stdin) ? 1 : 0;
}
#endif
"""
"""Needs PIXELS, and READ, the function of the network."""
