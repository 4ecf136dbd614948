# Targets for people: cmake --build build/dev --target format, or tidy.
add_custom_target(format
  COMMAND sh -c "find src tests bench cmake -name '*.cc' -o -name '*.h' | xargs clang-format-19 -i"
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
  COMMENT "Formatting the C++ files of the tree" VERBATIM)
add_custom_target(tidy
  COMMAND .ci/tidy
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
  COMMENT "clang-tidy over src, with every check of .clang-tidy" USES_TERMINAL VERBATIM)
