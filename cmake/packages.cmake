# The packages of Debian that CPack makes: sluice, and sluice-compat with the names of other
# programs. `cmake --build build/release --target deb` leaves them in build/release/packages;
# docs/packages.md says what is in them.
set(SLUICE_MAINTAINER "The sluice maintainers <maintainers@sluice.invalid>" CACHE STRING
  "Who answers for the packages: name <address>")
set(packaging ${PROJECT_SOURCE_DIR}/packaging)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME sluice)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT ${SLUICE_MAINTAINER})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/cmake/package_settings.cmake)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/package_tree.cmake)
set(CPACK_POST_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/package_archives.cmake)
# For these three, when CPack runs.
set(CPACK_SLUICE_PACKAGING ${packaging})

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(CPACK_DEBIAN_SLUICE_PACKAGE_NAME sluice)
set(CPACK_DEBIAN_SLUICE_DESCRIPTION
  "user-mode networking for commands and machines, and port forwarder
Gives a command, a namespace, a container or a virtual machine a network
without privileges. Every flow is decided by rules on names and addresses
before anything leaves, and told: in a report, a log or while it happens.
.
The same program forwards ports of TCP and UDP, with health checks, limits
and the PROXY protocol; it reads the files of rinetd.")
set(CPACK_DEBIAN_SLUICE_PACKAGE_SHLIBDEPS ON)
# Loaded while it runs, where they are there: names of other alphabets, the page, systemd.
set(CPACK_DEBIAN_SLUICE_PACKAGE_RECOMMENDS "libidn2-0, libpsl5, libmicrohttpd12, libsystemd0")
# The file system of a box.
set(CPACK_DEBIAN_SLUICE_PACKAGE_SUGGESTS "sluice-compat, qemu-system-common")
set(CPACK_DEBIAN_SLUICE_PACKAGE_CONTROL_EXTRA ${packaging}/debian/sluice/postinst
  ${packaging}/debian/sluice/prerm ${packaging}/debian/sluice/postrm
  ${packaging}/debian/sluice/conffiles)

# The names stand in one file; its lines go into each script that needs them.
file(STRINGS ${packaging}/debian/compat/names names REGEX "^[^#]")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
  ${packaging}/debian/compat/names)
list(JOIN names "\n" SLUICE_DROP_INS)
set(scripts ${PROJECT_BINARY_DIR}/packaging/compat)
foreach(line ${names})
  string(REGEX REPLACE " +" ";" words "${line}")
  list(GET words 0 name)
  list(GET words 3 page)
  if(NOT page STREQUAL "-")
    list(APPEND SLUICE_DROP_IN_NAMES ${name})
  endif()
endforeach()
foreach(script preinst postinst prerm postrm)
  configure_file(${packaging}/debian/compat/${script}.in ${scripts}/${script} @ONLY)
  list(APPEND compat_control ${scripts}/${script})
endforeach()
set(CPACK_DEBIAN_COMPAT_PACKAGE_NAME sluice-compat)
set(CPACK_DEBIAN_COMPAT_DESCRIPTION
  "sluice in the place of pasta, passt, slirp4netns, rinetd and oi
With this package those commands start sluice, which takes their command
lines. Programs that start them, such as Podman, Buildah and rootlesskit, then
have sluice's network without a change.
.
The names are alternatives: where the other programs are installed as well,
update-alternatives chooses between them and sluice.")
set(CPACK_DEBIAN_COMPAT_PACKAGE_ARCHITECTURE all)
set(CPACK_DEBIAN_COMPAT_PACKAGE_DEPENDS "sluice (= ${PROJECT_VERSION}-1)")
set(CPACK_DEBIAN_COMPAT_PACKAGE_PROVIDES "passt, rinetd, slirp4netns (= 1.3.0)")
set(CPACK_DEBIAN_COMPAT_PACKAGE_CONTROL_EXTRA ${compat_control}
  ${packaging}/debian/compat/triggers)

# Each name is a link to the program, in a folder of its own: to be put first in PATH where nothing
# is packaged.
foreach(name ${SLUICE_DROP_IN_NAMES})
  install(CODE "
    set(folder \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/sluice/drop-in\")
    file(MAKE_DIRECTORY \"\${folder}\")
    file(CREATE_LINK ../../../bin/sluice \"\${folder}/${name}\" SYMBOLIC)"
    COMPONENT compat)
endforeach()

include(CPack)
cpack_add_component_group(sluice)
cpack_add_component_group(compat)
foreach(component program manual completions systemd examples docs)
  cpack_add_component(${component} GROUP sluice)
endforeach()
cpack_add_component(compat GROUP compat)

if(TARGET sluice)
  add_custom_target(deb
    COMMAND ${CMAKE_CPACK_COMMAND} -B ${PROJECT_BINARY_DIR}/packages
    DEPENDS sluice
    WORKING_DIRECTORY ${PROJECT_BINARY_DIR}
    COMMENT "Making the packages of Debian" USES_TERMINAL VERBATIM)
endif()
