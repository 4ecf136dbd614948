# Compiler settings that hold for every target of the project.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()

add_library(sluice_options INTERFACE)
target_compile_options(sluice_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wswitch-enum -Werror
  # Profiles need a walkable stack in release builds too.
  -fno-omit-frame-pointer)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns at -O3 of overlaps inside std::string that cannot be (its bug 105651).
  target_compile_options(sluice_options INTERFACE -Wno-restrict)
endif()
# For quoted includes only: src/sys must not hide <sys/...>.
target_compile_options(sluice_options INTERFACE "SHELL:-iquote ${PROJECT_SOURCE_DIR}/src")
target_compile_definitions(sluice_options INTERFACE SLUICE_VERSION="${PROJECT_VERSION}")

if(SLUICE_SANITIZE)
  target_compile_options(sluice_options INTERFACE
    -fsanitize=${SLUICE_SANITIZE} -fno-sanitize-recover=all -g -O1)
  target_link_options(sluice_options INTERFACE -fsanitize=${SLUICE_SANITIZE})
endif()
if(SLUICE_FUZZ)
  target_compile_options(sluice_options INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(sluice_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(SLUICE_LTO)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # At link time GCC 12 warns of writes behind checks that it no longer sees, in tests that emit
    # into arrays of a known size. Each file by itself is compiled with these warnings as errors.
    target_link_options(sluice_options INTERFACE -Wno-stringop-overflow -Wno-stringop-overread)
  endif()
endif()
# The C++ runtime goes into the program: it starts faster and needs less of the next machine.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT SLUICE_SANITIZE)
  target_link_options(sluice_options INTERFACE -static-libstdc++ -static-libgcc)
endif()
