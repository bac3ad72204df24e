# heddle_module(<name> [DEPS <module>...] [LIBS <package>::<target>...] [TEST_DEPS <module>...])
#
# Declares the module that the calling folder, heddle/<name>/, holds:
#   heddle_<name>, heddle::<name>   static library of the folder's *.cpp and internal/*.cpp (an interface library when
#                                   the folder has headers only); public include root is the repository's root
#   heddle_<name>_test              from *.test.cpp, with GoogleTest; one CTest test per TEST, label <name>
#   heddle_<name>_bench             from *.bench.cpp, with Google Benchmark (HEDDLE_BENCH)
# and installs the library and its public headers as component <name> of the package.
#
# DEPS are modules of heddle whose headers this one may include; LIBS are foreign libraries, found here, so that a build
# or a consumer needs only the packages of the modules that it uses. TEST_DEPS are modules that only the tests and
# benchmarks use; they may stand in a higher layer, as when a lock is tested with tasks.
include_guard(GLOBAL)
include(GoogleTest)

set(HEDDLE_TEST_TIMEOUT 120 CACHE STRING "Seconds after which one test counts as hung")

# The find_package() arguments that provide a library, by the part of its name before `::`, where the two differ.
set(HEDDLE_PACKAGE_Boost "Boost 1.81")
set(HEDDLE_PACKAGE_SQLite "SQLite3")

# Finds the package of `library` and adds its find_package() arguments, separated by spaces, to the list <out>.
function(heddle_find_library library out)
  string(REGEX REPLACE "::.*" "" package "${library}")
  if(DEFINED HEDDLE_PACKAGE_${package})
    set(package ${HEDDLE_PACKAGE_${package}})
  endif()
  if(NOT TARGET ${library})
    string(REPLACE " " ";" arguments "${package}")
    find_package(${arguments} REQUIRED)
  endif()
  set(found ${${out}} ${package})
  list(REMOVE_DUPLICATES found)
  set(${out} ${found} PARENT_SCOPE)
endfunction()

function(heddle_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEPS;LIBS;TEST_DEPS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "heddle_module(${name}): what is `${arg_UNPARSED_ARGUMENTS}`?")
  endif()

  file(GLOB sources CONFIGURE_DEPENDS *.cpp internal/*.cpp)
  set(tests ${sources})
  set(benches ${sources})
  list(FILTER sources EXCLUDE REGEX "\\.(test|check|bench)\\.cpp$")
  list(FILTER tests INCLUDE REGEX "\\.test\\.cpp$")
  list(FILTER benches INCLUDE REGEX "\\.bench\\.cpp$")
  file(GLOB headers CONFIGURE_DEPENDS *.hpp)

  if(sources)
    add_library(heddle_${name} STATIC ${sources})
    set(visibility PUBLIC)
  else()
    add_library(heddle_${name} INTERFACE)
    set(visibility INTERFACE)
  endif()
  add_library(heddle::${name} ALIAS heddle_${name})
  set_target_properties(heddle_${name} PROPERTIES EXPORT_NAME ${name})
  target_compile_features(heddle_${name} ${visibility} cxx_std_23)
  target_sources(heddle_${name} PUBLIC FILE_SET HEADERS BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${headers})
  list(TRANSFORM arg_DEPS PREPEND heddle:: OUTPUT_VARIABLE deps)
  set(packages "")
  foreach(library IN LISTS arg_LIBS)
    heddle_find_library(${library} packages)
  endforeach()
  target_link_libraries(heddle_${name} ${visibility} ${deps} ${arg_LIBS})

  set_property(GLOBAL APPEND PROPERTY HEDDLE_DECLARED_MODULES ${name})
  set_property(GLOBAL PROPERTY HEDDLE_${name}_DEPS ${arg_DEPS})
  set_property(GLOBAL PROPERTY HEDDLE_${name}_LIBS ${arg_LIBS})
  set_property(GLOBAL PROPERTY HEDDLE_${name}_PACKAGES ${packages})
  install(TARGETS heddle_${name} EXPORT heddle_${name}
          ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
          FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(EXPORT heddle_${name} NAMESPACE heddle:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/heddle
          FILE heddle-${name}.cmake)

  list(TRANSFORM arg_TEST_DEPS PREPEND heddle:: OUTPUT_VARIABLE test_deps)
  if(HEDDLE_TESTS AND tests)
    heddle_test(heddle_${name}_test LABEL ${name} SOURCES ${tests} LIBS heddle::${name} ${test_deps})
  endif()
  if(HEDDLE_BENCH AND benches)
    find_package(benchmark REQUIRED)
    add_executable(heddle_${name}_bench ${benches})
    target_link_libraries(heddle_${name}_bench PRIVATE heddle::${name} ${test_deps} benchmark::benchmark_main)
  endif()
endfunction()

# heddle_test(<target> LABEL <label>... SOURCES <file>... [LIBS <library>...] [TIMEOUT <seconds>])
#
# A test during which a deadlock is reported fails, unless it says that it makes one (tests/support/no_deadlocks.hpp).
#
# A GoogleTest executable whose tests are listed when CTest runs, not when it is built. CTest's names are GoogleTest's,
# after `asan:` or `tsan:` in those builds, so that one summary can tell them apart.
function(heddle_test target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "TIMEOUT" "LABEL;SOURCES;LIBS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT ${HEDDLE_TEST_TIMEOUT})
  endif()
  find_package(GTest REQUIRED)
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE ${arg_LIBS} GTest::gmock GTest::gtest_main)
  # What stands below watch has no waits to report.
  if(NOT "heddle::base" IN_LIST arg_LIBS AND NOT "heddle::sys" IN_LIST arg_LIBS)
    target_sources(${target} PRIVATE "${PROJECT_SOURCE_DIR}/tests/support/no_deadlocks.cpp")
    target_link_libraries(${target} PRIVATE heddle::watch)
  endif()
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 TEST_PREFIX "${HEDDLE_TEST_PREFIX}"
                       PROPERTIES TIMEOUT ${arg_TIMEOUT} ENVIRONMENT UBSAN_OPTIONS=print_stacktrace=1)
  # gtest_discover_tests cannot hand on a property that is a list.
  set(labels "${CMAKE_CURRENT_BINARY_DIR}/${target}_labels.cmake")
  file(CONFIGURE OUTPUT "${labels}" @ONLY CONTENT [[
foreach(test IN LISTS @target@_TESTS)
  set_tests_properties("${test}" PROPERTIES LABELS "@arg_LABEL@")
endforeach()
]])
  set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES "${labels}")
endfunction()
