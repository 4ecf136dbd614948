# Run by CPack when the components are installed, and before it packs them.
foreach(package sluice compat)
  execute_process(
    COMMAND ${CPACK_SLUICE_PACKAGING}/debian/stage ${CPACK_TEMPORARY_DIRECTORY}/${package}
      ${package} ${CPACK_PACKAGE_VERSION} ${CPACK_DEBIAN_PACKAGE_RELEASE} ${CPACK_PACKAGE_CONTACT}
    COMMAND_ERROR_IS_FATAL ANY)
endforeach()
