// Drives the compiled chip: bytes in, bytes out, a given number of clock cycles.
// With STEPNET_BIT_EIGHTHS defined the bytes travel over the serial pins, a bit in so many eighths of
// a cycle on average unless stepnet_set_bit_eighths says otherwise; without it they enter and leave
// at the byte streams behind the UART.
// Compiled with --trace-saif, it can count how often nets change from one cycle to the next.
// Verilator spells a double underscore in a port's name ___05F.

#include <cstddef>
#include <cstdint>

#include "Vchip.h"
#include "verilated.h"
#if VM_TRACE_SAIF
#include "verilated_saif_c.h"
#endif

namespace {

struct Harness {
    VerilatedContext context;
    Vchip chip{&context};
    uint64_t cycles = 0;
#if VM_TRACE_SAIF
    VerilatedSaifC activity;
#endif

    Harness() {
#if VM_TRACE_SAIF
        context.traceEverOn(true);
        chip.trace(&activity, 99);
#endif
#ifdef STEPNET_BIT_EIGHTHS
        chip.rx_pin = 1;  // idle
#endif
        chip.rst = 1;
        tick();
        chip.rst = 0;
    }

    // What all nets settle to before the clock's edge.
    void settle() {
        chip.clk = 0;
        chip.eval();
#if VM_TRACE_SAIF
        if (activity.isOpen()) activity.dump(cycles);
#endif
    }

    void tick() {
        settle();
        chip.clk = 1;
        chip.eval();
        ++cycles;
    }

#ifdef STEPNET_BIT_EIGHTHS
    static constexpr int kBits = 10;  // start bit, 8 data bits, stop bit

    // The cycle of a byte in which a bit begins, or the byte ends, and the one in which it is sampled.
    int bit_eighths = STEPNET_BIT_EIGHTHS;
    int edge(int bit) const { return (bit * bit_eighths + 7) / 8; }
    int middle(int bit) const { return (2 * bit + 1) * bit_eighths / 16; }

    unsigned sending = 0;  // the byte on its way to the chip, in its frame
    int sent_cycles = edge(kBits);  // of that byte
    int sent_bits = kBits;
    unsigned receiving = 0;
    int received_cycles = 0;
    int received_bits = kBits;

    // One cycle. Takes a byte from `in` if `in_size` and says so; gives one to `out` if complete.
    bool cycle(const uint8_t* in, size_t in_size, bool* taken, uint8_t* out) {
        *taken = sent_cycles == edge(kBits) && in_size;
        if (*taken) {
            sending = (1u << 9) | (unsigned{*in} << 1);
            sent_cycles = sent_bits = 0;
        }
        if (sent_bits < kBits && sent_cycles == edge(sent_bits)) {
            chip.rx_pin = sending >> sent_bits & 1;
            ++sent_bits;
        }
        sent_cycles += sent_cycles < edge(kBits);
        tick();
        if (received_bits == kBits) {
            if (!chip.tx_pin) received_bits = received_cycles = 0;
            return false;
        }
        if (++received_cycles != middle(received_bits)) return false;
        receiving = (receiving >> 1) | (unsigned{chip.tx_pin} << (kBits - 1));
        if (++received_bits < kBits) return false;
        *out = receiving >> 1;
        return receiving >> (kBits - 1);  // a broken stop bit loses the byte
    }
#else
    bool cycle(const uint8_t* in, size_t in_size, bool* taken, uint8_t* out) {
        chip.rx___05Fvalid = in_size != 0;
        chip.rx___05Fpayload = in_size ? *in : 0;
        chip.tx___05Fready = 1;
        settle();
        *taken = chip.rx___05Fvalid && chip.rx___05Fready;
        const bool given = chip.tx___05Fvalid;
        *out = chip.tx___05Fpayload;
        chip.clk = 1;
        chip.eval();
        ++cycles;
        return given;
    }
#endif
};

}  // namespace

extern "C" {

void* stepnet_open() { return new Harness; }

void stepnet_close(void* handle) { delete static_cast<Harness*>(handle); }

uint64_t stepnet_cycles(void* handle) { return static_cast<Harness*>(handle)->cycles; }

#ifdef STEPNET_BIT_EIGHTHS
// Has this end of the line run at another rate than the chip. What is on its way is cut off.
void stepnet_set_bit_eighths(void* handle, int eighths) {
    Harness& harness = *static_cast<Harness*>(handle);
    harness.bit_eighths = eighths;
    harness.chip.rx_pin = 1;
    harness.sent_bits = harness.received_bits = Harness::kBits;
    harness.sent_cycles = harness.edge(Harness::kBits);
}
#endif

#if VM_TRACE_SAIF
// Counts from now on; the file is whole after stepnet_stop_counting.
void stepnet_count(void* handle, const char* path) {
    static_cast<Harness*>(handle)->activity.open(path);
}

void stepnet_stop_counting(void* handle) { static_cast<Harness*>(handle)->activity.close(); }
#endif

uint8_t stepnet_character(void* handle) { return static_cast<Harness*>(handle)->chip.character; }

// Runs until the chip has given a zero byte (the end of a frame), `out` is full, or `max_cycles`
// have passed. Sets how many bytes of `in` were taken; returns how many were put into `out`.
size_t stepnet_run(void* handle, const uint8_t* in, size_t in_size, size_t* taken_size,
                   uint8_t* out, size_t out_capacity, uint64_t max_cycles) {
    Harness& harness = *static_cast<Harness*>(handle);
    size_t given_size = 0;
    *taken_size = 0;
    for (uint64_t cycle = 0; cycle < max_cycles && given_size < out_capacity; ++cycle) {
        bool taken = false;
        uint8_t byte = 0;
        const bool given =
            harness.cycle(in + *taken_size, in_size - *taken_size, &taken, &byte);
        *taken_size += taken;
        if (!given) continue;
        out[given_size++] = byte;
        if (byte == 0) break;
    }
    return given_size;
}

}  // extern "C"
