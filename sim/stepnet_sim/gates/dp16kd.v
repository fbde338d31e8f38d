// ECP5's 18-kbit block RAM, of which Yosys has no model; after Lattice FPGA-TN-02204.
//
// Both ports have one clock, chip selects are at 0, and output registers have no reset. Where one
// port reads what the other one writes in the same cycle, the hardware's answer is undefined; here
// it is the inverse of what was there, so that no design gets away with relying on it.
module DP16KD (
  input
    DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4,
    DIA3, DIA2, DIA1, DIA0,
    ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
    CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
  output
    DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4,
    DOA3, DOA2, DOA1, DOA0,
  input
    DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4,
    DIB3, DIB2, DIB1, DIB0,
    ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
    CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
  output
    DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4,
    DOB3, DOB2, DOB1, DOB0
);
  parameter DATA_WIDTH_A = 18, DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG", REGMODE_B = "NOREG";
  parameter RESETMODE = "SYNC", ASYNC_RESET_RELEASE = "SYNC";
  parameter CSDECODE_A = "0b000", CSDECODE_B = "0b000";
  parameter WRITEMODE_A = "NORMAL", WRITEMODE_B = "NORMAL";
  parameter CLKAMUX = "CLKA", CLKBMUX = "CLKB", GSR = "ENABLED";
  parameter [319:0]
    INITVAL_00 = 0, INITVAL_01 = 0, INITVAL_02 = 0, INITVAL_03 = 0, INITVAL_04 = 0,
    INITVAL_05 = 0, INITVAL_06 = 0, INITVAL_07 = 0, INITVAL_08 = 0, INITVAL_09 = 0,
    INITVAL_0A = 0, INITVAL_0B = 0, INITVAL_0C = 0, INITVAL_0D = 0, INITVAL_0E = 0,
    INITVAL_0F = 0, INITVAL_10 = 0, INITVAL_11 = 0, INITVAL_12 = 0, INITVAL_13 = 0,
    INITVAL_14 = 0, INITVAL_15 = 0, INITVAL_16 = 0, INITVAL_17 = 0, INITVAL_18 = 0,
    INITVAL_19 = 0, INITVAL_1A = 0, INITVAL_1B = 0, INITVAL_1C = 0, INITVAL_1D = 0,
    INITVAL_1E = 0, INITVAL_1F = 0, INITVAL_20 = 0, INITVAL_21 = 0, INITVAL_22 = 0,
    INITVAL_23 = 0, INITVAL_24 = 0, INITVAL_25 = 0, INITVAL_26 = 0, INITVAL_27 = 0,
    INITVAL_28 = 0, INITVAL_29 = 0, INITVAL_2A = 0, INITVAL_2B = 0, INITVAL_2C = 0,
    INITVAL_2D = 0, INITVAL_2E = 0, INITVAL_2F = 0, INITVAL_30 = 0, INITVAL_31 = 0,
    INITVAL_32 = 0, INITVAL_33 = 0, INITVAL_34 = 0, INITVAL_35 = 0, INITVAL_36 = 0,
    INITVAL_37 = 0, INITVAL_38 = 0, INITVAL_39 = 0, INITVAL_3A = 0, INITVAL_3B = 0,
    INITVAL_3C = 0, INITVAL_3D = 0, INITVAL_3E = 0, INITVAL_3F = 0;

  // The pins as buses.

  wire [17:0] DIA = {
    DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4,
    DIA3, DIA2, DIA1, DIA0
  };
  wire [17:0] DIB = {
    DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4,
    DIB3, DIB2, DIB1, DIB0
  };
  wire [13:0] ADA = {
    ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0
  };
  wire [13:0] ADB = {
    ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0
  };
  reg [17:0] read_a = 0, read_b = 0, output_register_a = 0, output_register_b = 0;
  assign {
    DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4,
    DOA3, DOA2, DOA1, DOA0
  } = REGMODE_A == "OUTREG" ? output_register_a : read_a;
  assign {
    DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4,
    DOB3, DOB2, DOB1, DOB0
  } = REGMODE_B == "OUTREG" ? output_register_b : read_b;

  // The contents: bytes of nine bits. At power-on 20 bits of the parameters make two of them.

  reg [8:0] memory [0:2047];
  localparam [64 * 320 - 1:0] INITIAL = {
    INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39,
    INITVAL_38, INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32,
    INITVAL_31, INITVAL_30, INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B,
    INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27, INITVAL_26, INITVAL_25, INITVAL_24,
    INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E, INITVAL_1D,
    INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16,
    INITVAL_15, INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F,
    INITVAL_0E, INITVAL_0D, INITVAL_0C, INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08,
    INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03, INITVAL_02, INITVAL_01,
    INITVAL_00
  };
  integer row;
  initial
    for (row = 0; row < 1024; row = row + 1) begin
      memory[2 * row] = INITIAL[row * 20 +: 9];
      memory[2 * row + 1] = INITIAL[row * 20 + 9 +: 9];
    end

  // Which bytes an access takes: the first one, and how many follow it.

  function automatic [10:0] first(input integer width, input [13:0] address);
    first = width == 36 ? {address[13:5], 2'b00} : width == 18 ? {address[13:4], 1'b0}
          : address[13:3];
  endfunction
  function automatic [10:0] following(input integer width);
    following = width == 36 ? 3 : width == 18 ? 1 : 0;
  endfunction

  // Reading and writing a word of any width.

  function automatic [35:0] fetch(input integer width, input [13:0] address);
    reg [10:0] at;
    begin
      at = first(width, address);
      case (width)
        36: fetch = {memory[at + 3], memory[at + 2], memory[at + 1], memory[at]};
        18: fetch = {18'b0, memory[at + 1], memory[at]};
        9: fetch = {27'b0, memory[at]};
        4: fetch = {32'b0, memory[at][{address[2], 2'b00} +: 4]};
        2: fetch = {34'b0, memory[at][{address[2:1], 1'b0} +: 2]};
        default: fetch = {35'b0, memory[at][address[2:0]]};
      endcase
    end
  endfunction

  task automatic store(input integer width, input [13:0] address, input [35:0] data);
    reg [10:0] at;
    begin
      at = first(width, address);
      case (width)
        36: begin
          if (address[0]) memory[at] = data[8:0];
          if (address[1]) memory[at + 1] = data[17:9];
          if (address[2]) memory[at + 2] = data[26:18];
          if (address[3]) memory[at + 3] = data[35:27];
        end
        18: begin
          if (address[0]) memory[at] = data[8:0];
          if (address[1]) memory[at + 1] = data[17:9];
        end
        9: memory[at] = data[8:0];
        4: memory[at][{address[2], 2'b00} +: 4] = data[3:0];
        2: memory[at][{address[2:1], 1'b0} +: 2] = data[1:0];
        default: memory[at][address[2:0]] = data[0];
      endcase
    end
  endtask

  // What each port does. A wide write without a byte that is enabled writes nothing.

  function automatic any_byte(input integer width, input [13:0] address);
    any_byte = width == 36 ? address[3:0] != 0 : width == 18 ? address[1:0] != 0 : 1;
  endfunction
  wire writes_a = CEA && WEA && any_byte(DATA_WIDTH_A, ADA);
  wire writes_b = CEB && WEB && any_byte(DATA_WIDTH_B, ADB);
  wire reads_a = CEA && !(WEA && WRITEMODE_A == "NORMAL");
  wire reads_b = CEB && !(WEB && WRITEMODE_B == "NORMAL");
  wire [10:0] first_a = first(DATA_WIDTH_A, ADA), first_b = first(DATA_WIDTH_B, ADB);
  wire overlap = first_a <= first_b + following(DATA_WIDTH_B)
              && first_b <= first_a + following(DATA_WIDTH_A);

  // Of a port that is not in use the clock stands at 0.
  wire clock = CLKA | CLKB;
  reg [35:0] old_a, old_b, new_a, new_b;
  always @(posedge clock) begin
    if (OCEA) output_register_a <= read_a;
    if (OCEB) output_register_b <= read_b;
    old_a = fetch(DATA_WIDTH_A, ADA);
    old_b = fetch(DATA_WIDTH_B, ADB);
    if (writes_a) store(DATA_WIDTH_A, ADA, {DIB, DIA});
    if (writes_b) store(DATA_WIDTH_B, ADB, {DIA, DIB});
    new_a = WRITEMODE_A == "WRITETHROUGH" ? fetch(DATA_WIDTH_A, ADA) : old_a;
    new_b = WRITEMODE_B == "WRITETHROUGH" ? fetch(DATA_WIDTH_B, ADB) : old_b;
    if (writes_b && overlap) new_a = ~old_a;
    if (writes_a && overlap) new_b = ~old_b;
    if (reads_a) read_a <= new_a[17:0];
    // At 36 bits port B reads with the outputs of both.
    if (reads_b) begin
      read_b <= DATA_WIDTH_B == 36 ? new_b[35:18] : new_b[17:0];
      if (DATA_WIDTH_B == 36) read_a <= new_b[17:0];
    end
    if (RSTA && DATA_WIDTH_B != 36) read_a <= 0;
    if (RSTB) begin
      read_b <= 0;
      if (DATA_WIDTH_B == 36) read_a <= 0;
    end
  end
endmodule
