// The program that box/init makes, taken in by the assembler: sluice stays one file.
#include "box/image/image.h"

// Read-only, and aligned as the assembler likes. SLUICE_BOX_INIT is the built program's path.
__asm__(
    ".pushsection .rodata.sluice_box_init, \"a\", @progbits\n"
    ".balign 16\n"
    ".globl sluice_box_init_begin\n"
    "sluice_box_init_begin:\n"
    ".incbin \"" SLUICE_BOX_INIT
    "\"\n"
    ".globl sluice_box_init_end\n"
    "sluice_box_init_end:\n"
    ".popsection\n");

extern "C" {
extern const std::uint8_t sluice_box_init_begin[];
extern const std::uint8_t sluice_box_init_end[];
}

namespace sluice::box {

ByteView init_program() { return {sluice_box_init_begin, sluice_box_init_end}; }

}  // namespace sluice::box
