// Drives the pins of a compiled chip on SPI: transactions of bytes, with an SPI clock that knows nothing
// of the chip's own. Time is counted in picoseconds.
// Verilator spells a double underscore in a port's name ___05F.

#include <cstddef>
#include <cstdint>

#include "Vchip.h"
#include "verilated.h"

namespace {

struct Harness {
    VerilatedContext context;
    Vchip chip{&context};
    const uint64_t clock_half_ps;
    uint64_t now_ps = 0;
    uint64_t clock_edge_ps;  // when the next edge of the chip's clock comes
    uint64_t random = 1;

    explicit Harness(uint64_t half_ps) : clock_half_ps(half_ps), clock_edge_ps(half_ps) {
        chip.clk = 0;
        chip.sck = 0;
        chip.selected = 0;
        chip.rst = 1;
        chip.eval();
        pass(4 * clock_half_ps);
        chip.rst = 0;
        chip.eval();
    }

    // Lets time pass for the chip's clock.
    void pass(uint64_t ps) {
        const uint64_t until_ps = now_ps + ps;
        while (clock_edge_ps <= until_ps) {
            chip.clk = !chip.clk;
            chip.eval();
            clock_edge_ps += clock_half_ps;
        }
        now_ps = until_ps;
    }

    // Half a bit, in which an edge that came late before, and one that will now, are made up for.
    uint64_t late_ps = 0;
    void half_bit(uint64_t half_ps, uint64_t jitter_ps) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        const uint64_t next_late_ps = jitter_ps ? (random >> 33) % (jitter_ps + 1) : 0;
        pass(half_ps + next_late_ps - late_ps);
        late_ps = next_late_ps;
    }

    // So many bits of a byte; returns what the chip showed just before each rise.
    uint8_t bits(uint8_t byte, int count, uint64_t half_ps, uint64_t jitter_ps) {
        unsigned heard = 0;
        for (int bit = 7; bit > 7 - count; --bit) {
            chip.copi = byte >> bit & 1;
            half_bit(half_ps, jitter_ps);
            heard = heard << 1 | chip.cipo;
            chip.sck = 1;
            chip.eval();
            half_bit(half_ps, jitter_ps);
            chip.sck = 0;
            chip.eval();
        }
        return heard;
    }

    void select(int level, uint64_t half_ps) {
        chip.selected = level;
        chip.eval();
        pass(half_ps);
    }
};

}  // namespace

extern "C" {

void* stepnet_open(uint64_t clock_half_ps) { return new Harness(clock_half_ps); }

void stepnet_close(void* handle) { delete static_cast<Harness*>(handle); }

uint64_t stepnet_now_ps(void* handle) { return static_cast<Harness*>(handle)->now_ps; }

void stepnet_wait(void* handle, uint64_t ps) { static_cast<Harness*>(handle)->pass(ps); }

// One transaction. Each edge comes up to `jitter_ps` late; of the last byte only `bits_of_last` pass.
void stepnet_transfer(void* handle, const uint8_t* out, uint8_t* in, size_t size, int bits_of_last,
                      uint64_t half_ps, uint64_t jitter_ps) {
    Harness& harness = *static_cast<Harness*>(handle);
    harness.select(1, half_ps);
    for (size_t i = 0; i < size; ++i)
        in[i] = harness.bits(out[i], i + 1 < size ? 8 : bits_of_last, half_ps, jitter_ps);
    harness.select(0, half_ps);
}

}  // extern "C"
