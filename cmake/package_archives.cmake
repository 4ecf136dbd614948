# Run by CPack when it has packed.
execute_process(COMMAND ${CPACK_SLUICE_PACKAGING}/debian/level_modes ${CPACK_PACKAGE_FILES}
  COMMAND_ERROR_IS_FATAL ANY)
