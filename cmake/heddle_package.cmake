# heddle_package(): what `cmake --install` adds to the libraries and headers of the modules, so that others find them.
#
#   lib/cmake/heddle/heddle-config.cmake   find_package(heddle COMPONENTS <module>...); without components, all of them
#   lib/cmake/heddle/Find<package>.cmake   for foreign packages that bring no file for CMake
#   lib/pkgconfig/heddle-<module>.pc       the same for pkg-config; heddle.pc stands for all modules
#
# A component brings the modules it stands on and the foreign packages of those, and nothing else. Call it once, after
# the last heddle_module().
include_guard(GLOBAL)
include(CMakePackageConfigHelpers)

# What pkg-config calls the libraries that modules link. Boost has no file for its headers: they are where the compiler looks.
set(HEDDLE_PC_Threads::Threads "")
set(HEDDLE_PC_Boost::headers "")
set(HEDDLE_PC_fmt::fmt fmt)
set(HEDDLE_PC_libdw::libdw libdw)
set(HEDDLE_PC_spdlog::spdlog spdlog)
set(HEDDLE_PC_OpenSSL::SSL libssl)
set(HEDDLE_PC_OpenSSL::Crypto libcrypto)
set(HEDDLE_PC_SQLite::SQLite3 sqlite3)
set(HEDDLE_PC_nlohmann_json::nlohmann_json nlohmann_json)
set(HEDDLE_PC_CLI11::CLI11 CLI11)
set(HEDDLE_PC_prometheus-cpp::core prometheus-cpp-core)

# Sets <out> to the modules that <name> stands on and <name> itself, each after what it stands on.
function(heddle_closure name out)
  set(closure ${${out}})
  get_property(deps GLOBAL PROPERTY HEDDLE_${name}_DEPS)
  foreach(dep IN LISTS deps)
    if(NOT dep IN_LIST closure)
      heddle_closure(${dep} closure)
    endif()
  endforeach()
  list(APPEND closure ${name})
  list(REMOVE_DUPLICATES closure)
  set(${out} ${closure} PARENT_SCOPE)
endfunction()

function(heddle_write_pc name description requires libs)
  list(JOIN requires ", " requires)
  file(RELATIVE_PATH up "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
  string(REGEX REPLACE "/$" "" up "${up}")
  file(WRITE "${PROJECT_BINARY_DIR}/package/${name}.pc" "\
prefix=\${pcfiledir}/${up}
includedir=\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}
libdir=\${prefix}/${CMAKE_INSTALL_LIBDIR}

Name: ${name}
Description: ${description}
Version: ${PROJECT_VERSION}
Requires: ${requires}
Cflags: -I\${includedir}
Libs: ${libs}
")
  install(FILES "${PROJECT_BINARY_DIR}/package/${name}.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

function(heddle_package)
  get_property(modules GLOBAL PROPERTY HEDDLE_DECLARED_MODULES)
  set(HEDDLE_COMPONENTS "")
  foreach(module IN LISTS modules)
    set(closure "")
    heddle_closure(${module} closure)
    get_property(packages GLOBAL PROPERTY HEDDLE_${module}_PACKAGES)
    string(APPEND HEDDLE_COMPONENTS "set(heddle_${module}_stands_on ${closure})\n"
                                    "set(heddle_${module}_packages \"${packages}\")\n")

    get_property(deps GLOBAL PROPERTY HEDDLE_${module}_DEPS)
    get_property(foreign GLOBAL PROPERTY HEDDLE_${module}_LIBS)
    list(TRANSFORM deps PREPEND heddle- OUTPUT_VARIABLE requires)
    foreach(library IN LISTS foreign)
      if(NOT DEFINED HEDDLE_PC_${library})
        message(FATAL_ERROR "module ${module} links ${library}: say in cmake/heddle_package.cmake what pkg-config calls it")
      endif()
      list(APPEND requires ${HEDDLE_PC_${library}})
    endforeach()
    set(libs "")
    get_target_property(type heddle_${module} TYPE)
    if(NOT type STREQUAL "INTERFACE_LIBRARY")
      set(libs "-L\${libdir} -lheddle_${module}")
    endif()
    heddle_write_pc(heddle-${module} "${PROJECT_DESCRIPTION}: module ${module}" "${requires}" "${libs}")
  endforeach()
  list(TRANSFORM modules PREPEND heddle- OUTPUT_VARIABLE requires)
  heddle_write_pc(heddle "${PROJECT_DESCRIPTION}" "${requires}" "")

  set(HEDDLE_COMPONENT_NAMES ${modules})
  configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/heddle-config.cmake.in"
                                "${PROJECT_BINARY_DIR}/package/heddle-config.cmake"
                                INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/heddle
                                NO_CHECK_REQUIRED_COMPONENTS_MACRO)
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/package/heddle-config-version.cmake"
                                   COMPATIBILITY SameMinorVersion)
  file(GLOB find_modules CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/cmake/Find*.cmake")
  install(FILES "${PROJECT_BINARY_DIR}/package/heddle-config.cmake"
                "${PROJECT_BINARY_DIR}/package/heddle-config-version.cmake"
                ${find_modules}
          DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/heddle)
endfunction()
