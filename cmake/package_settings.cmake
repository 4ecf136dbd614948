# Read by CPack before it begins. What is packed is as old as the newest day of the version in
# CHANGELOG.md, unless SOURCE_DATE_EPOCH says otherwise: two packages of one tree are alike.
if("$ENV{SOURCE_DATE_EPOCH}" STREQUAL "")
  execute_process(
    COMMAND ${CPACK_SLUICE_PACKAGING}/release_notes --epoch ${CPACK_PACKAGE_VERSION}
    OUTPUT_VARIABLE epoch OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  set(ENV{SOURCE_DATE_EPOCH} ${epoch})
endif()
