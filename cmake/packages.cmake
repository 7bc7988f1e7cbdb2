# The .deb packages: remuda-controller, remuda-agent, remuda-proxy and remuda (the command), by CPack from the components of install
# rules below. `deploy/packages/build` builds them; paths are those of the file system's root (prefix /).

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME remuda)
set(CPACK_PACKAGE_VENDOR Remuda)
set(CPACK_PACKAGE_CONTACT "Remuda maintainers <maintainers@remuda.example>" CACHE STRING "Maintainer of the packages, NAME <ADDRESS>")
set(CPACK_PACKAGING_INSTALL_PREFIX /)
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL controller agent proxy cli)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)  # tests are no part of a package
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

# What is said of a package: after its first line, what it is of the whole.
set(about "Remuda gives hosts that you own a load balancer, target groups, images,
launch templates, auto scaling groups, and deployments that no user notices.
.
")

# What all packages have, of the documents: the licence, what has changed, how to run it, and the pages that it leads to.
file(GLOB pages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/*.md)
string(TIMESTAMP changelog_date "%a, %d %b %Y %H:%M:%S +0000" UTC)
function(remuda_package_documents component package)
  set(folder ${CMAKE_BINARY_DIR}/documents/${package})
  if(NOT EXISTS ${folder}/changelog)  # it has the time in it: written once
    configure_file(${CMAKE_SOURCE_DIR}/deploy/packages/changelog.in ${folder}/changelog @ONLY)
  endif()
  configure_file(${CMAKE_SOURCE_DIR}/CHANGELOG.md ${folder}/CHANGELOG.md COPYONLY)
  execute_process(COMMAND gzip -9nkf changelog CHANGELOG.md WORKING_DIRECTORY ${folder} COMMAND_ERROR_IS_FATAL ANY)
  install(FILES ${CMAKE_SOURCE_DIR}/deploy/packages/copyright ${pages} ${folder}/changelog.gz ${folder}/CHANGELOG.md.gz
          DESTINATION usr/share/doc/${package} COMPONENT ${component})
endfunction()

# A program that a unit starts, with its settings, its user and its directories.
function(remuda_package_program component)
  set(package remuda-${component})
  set(deploy ${CMAKE_SOURCE_DIR}/deploy)
  install(TARGETS remuda_${component} DESTINATION usr/bin COMPONENT ${component})
  install(FILES ${deploy}/systemd/${package}.service DESTINATION lib/systemd/system COMPONENT ${component})
  install(FILES ${deploy}/systemd/${package}.tmpfiles DESTINATION usr/lib/tmpfiles.d RENAME ${package}.conf COMPONENT ${component})
  if(EXISTS ${deploy}/systemd/${package}.sysusers)
    install(FILES ${deploy}/systemd/${package}.sysusers DESTINATION usr/lib/sysusers.d RENAME ${package}.conf COMPONENT ${component})
  endif()
  install(FILES ${deploy}/etc/${component}.conf DESTINATION etc/remuda COMPONENT ${component})
  remuda_package_documents(${component} ${package})

  string(TOUPPER ${component} upper)
  set(CPACK_DEBIAN_${upper}_PACKAGE_NAME ${package} PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_PACKAGE_SECTION net PARENT_SCOPE)
  set(CPACK_DEBIAN_${upper}_PACKAGE_DEPENDS
      "init-system-helpers (>= 1.54~), systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles" PARENT_SCOPE)
  set(scripts ${deploy}/packages/${component})
  set(CPACK_DEBIAN_${upper}_PACKAGE_CONTROL_EXTRA
      "${scripts}/postinst;${scripts}/prerm;${scripts}/postrm;${scripts}/conffiles" PARENT_SCOPE)
endfunction()

remuda_package_program(controller)
set(CPACK_COMPONENT_CONTROLLER_DESCRIPTION "controller of a cluster of apps on hosts of one's own
${about}This is the controller: it holds the cluster's state, decides, and tells
agents and proxies. One machine of a cluster runs it.")
string(APPEND CPACK_DEBIAN_CONTROLLER_PACKAGE_DEPENDS ", tzdata")  # schedules on a zone's clocks
set(CPACK_DEBIAN_CONTROLLER_PACKAGE_SUGGESTS remuda)

remuda_package_program(agent)
install(FILES ${CMAKE_SOURCE_DIR}/deploy/systemd/remuda-instances.service DESTINATION lib/systemd/system COMPONENT agent)
install(PROGRAMS ${CMAKE_SOURCE_DIR}/deploy/systemd/is-set-up DESTINATION usr/lib/remuda RENAME agent-is-set-up COMPONENT agent)
set(CPACK_COMPONENT_AGENT_DESCRIPTION "agent of a host that runs apps of a Remuda cluster
${about}This is the agent: it runs the apps of its host, as the controller assigns
them. Each machine that shall run apps has one.")
set(CPACK_DEBIAN_AGENT_PACKAGE_RECOMMENDS nftables)  # security groups of apps

remuda_package_program(proxy)
install(PROGRAMS ${CMAKE_SOURCE_DIR}/deploy/systemd/is-set-up DESTINATION usr/lib/remuda RENAME proxy-is-set-up COMPONENT proxy)
install(FILES ${CMAKE_SOURCE_DIR}/deploy/packages/remuda-proxy.logrotate DESTINATION etc/logrotate.d RENAME remuda-proxy COMPONENT proxy)
set(CPACK_COMPONENT_PROXY_DESCRIPTION "load balancer of a Remuda cluster, or from a file alone
${about}This is the proxy: it serves load balancers over HTTP/1.1, HTTP/2, TLS and
TCP, checks their targets, and loses no request when those change. One or more
machines of a cluster run one; it also serves without a cluster, from a file.")
set(CPACK_DEBIAN_PROXY_PACKAGE_SUGGESTS logrotate)

install(TARGETS remuda_cli_program DESTINATION usr/bin COMPONENT cli)
# What the shells complete, as the command itself says it.
install(CODE "
  foreach(of \"bash;usr/share/bash-completion/completions/remuda\" \"zsh;usr/share/zsh/vendor-completions/_remuda\")
    list(GET of 0 shell)
    list(GET of 1 path)
    set(file \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/\${path}\")
    cmake_path(GET file PARENT_PATH folder)
    file(MAKE_DIRECTORY \${folder})
    execute_process(COMMAND $<TARGET_FILE:remuda_cli_program> completion \${shell} OUTPUT_FILE \${file} COMMAND_ERROR_IS_FATAL ANY)
  endforeach()" COMPONENT cli)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/deploy/examples/ DESTINATION usr/share/doc/remuda/examples COMPONENT cli)
remuda_package_documents(cli remuda)
set(CPACK_DEBIAN_CLI_PACKAGE_NAME remuda)
set(CPACK_DEBIAN_CLI_PACKAGE_SECTION net)
set(CPACK_DEBIAN_CLI_PACKAGE_SUGGESTS "remuda-controller, remuda-agent, remuda-proxy")
set(CPACK_COMPONENT_CLI_DESCRIPTION "command line of a Remuda cluster
${about}This is the command for people: it pushes images, applies manifests, deploys
and shows what the cluster does, from any machine that reaches the controller.")

include(CPack)
