# Compiler settings that hold for every target of the project.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

find_program(CCACHE ccache)
if(CCACHE)
  # Without these two it keeps nothing that is compiled with a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
endif()

add_library(sluice_options INTERFACE)
target_compile_options(sluice_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wswitch-enum
  # Profiles need a walkable stack in release builds too.
  -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # When GCC 12 makes machine code it warns of overlaps and overflows inside std::string that cannot
  # be (its bugs 105651 and 105329). The sanitizers see those that can.
  target_compile_options(sluice_options INTERFACE
    -Wno-restrict -Wno-stringop-overflow -Wno-stringop-overread -Wno-array-bounds)
endif()
# For quoted includes only: src/sys must not hide <sys/...>.
target_compile_options(sluice_options INTERFACE "SHELL:-iquote ${PROJECT_SOURCE_DIR}/src")
target_compile_definitions(sluice_options INTERFACE SLUICE_VERSION="${PROJECT_VERSION}")

if(SLUICE_HARDENED)
  # Debian's compilers make position-independent programs with read-only relocations anyway. Of the
  # folder that it was built in, the program says nothing.
  target_compile_options(sluice_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
    -fstack-protector-strong -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)
endif()

if(SLUICE_SANITIZE)
  target_compile_options(sluice_options INTERFACE
    -fsanitize=${SLUICE_SANITIZE} -fno-sanitize-recover=all -gline-tables-only)
  if(SLUICE_SANITIZE STREQUAL "thread")
    # What it is for waits more than it computes.
    target_compile_options(sluice_options INTERFACE -O0)
  else()
    target_compile_options(sluice_options INTERFACE -O1)
  endif()
  target_link_options(sluice_options INTERFACE -fsanitize=${SLUICE_SANITIZE})
endif()
if(SLUICE_FUZZ)
  target_compile_options(sluice_options INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(sluice_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(SLUICE_LTO)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND SLUICE_TESTS)
    # Machine code beside the bytecode of our libraries: tests link that, in a tenth of the time.
    set(SLUICE_FAT_OBJECTS ON)
  endif()
endif()
function(sluice_fat_objects target)
  if(SLUICE_FAT_OBJECTS)
    target_compile_options(${target} PRIVATE -ffat-lto-objects)
  endif()
endfunction()
# Links a program without optimisation across files, though its libraries were compiled for it.
function(sluice_plain_link target)
  if(SLUICE_FAT_OBJECTS)
    set_target_properties(${target} PROPERTIES INTERPROCEDURAL_OPTIMIZATION OFF)
    target_link_options(${target} PRIVATE -fno-lto)
  endif()
endfunction()

# What most files of src begin with. Reading it again is a third of the time that a file takes.
set(SLUICE_PCH_HEADERS <algorithm> <array> <chrono> <cstdint> <cstring> <expected> <functional>
  <memory> <optional> <span> <string> <string_view> <unordered_map> <variant> <vector>
  <fmt/format.h>)
if(SLUICE_PCH AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # ccache compares contents; a time within them would make each build a new one.
  target_compile_options(sluice_options INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
endif()
# Compiles `target` with the precompiled header of `owner`, which must have the same options.
function(sluice_reuse_pch target owner)
  if(SLUICE_PCH)
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()
# The C++ runtime goes into the program: it starts faster and needs less of the next machine.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT SLUICE_SANITIZE)
  target_link_options(sluice_options INTERFACE -static-libstdc++ -static-libgcc)
endif()
