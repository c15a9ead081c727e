# SPDX-License-Identifier: GPL-2.0-or-later
# Flags that every target gets, and the three kinds of target there are.

add_compile_options(-Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
  -Wvla -Wformat=2 -Wundef -Wno-missing-field-initializers -fno-strict-aliasing -fno-common
  -fstack-protector-strong -fcf-protection=full -fstack-clash-protection)
add_compile_definitions(_GNU_SOURCE GLIB_VERSION_MIN_REQUIRED=GLIB_VERSION_2_74
  GLIB_VERSION_MAX_ALLOWED=GLIB_VERSION_2_74 FLOE_VERSION="${PROJECT_VERSION}")
add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)
include(CheckPIESupported)
check_pie_supported()

if(FLOE_SANITIZE OR FLOE_FUZZ)
  set(sanitizers address,undefined)
  if(FLOE_FUZZ)
    string(APPEND sanitizers ,fuzzer-no-link)
  endif()
  add_compile_options(-fsanitize=${sanitizers} -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
else()
  add_compile_options(-U_FORTIFY_SOURCE $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=3>)
endif()
if(FLOE_COVERAGE)
  add_compile_options(--coverage -O0)
  add_link_options(--coverage)
endif()

pkg_check_modules(GLIB REQUIRED IMPORTED_TARGET glib-2.0>=2.74 gio-2.0 gio-unix-2.0 gobject-2.0)

# Where nbdkit looks for plugins, given the prefix that it has; floe-hypervisord looks there too.
set(FLOE_PLUGIN_DIR ${CMAKE_INSTALL_LIBDIR}/nbdkit/plugins)

# floe_pkg(NAME module...): the imported target PkgConfig::NAME.
macro(floe_pkg name)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${ARGN})
endmacro()

# floe_installed(target): the target "programs" makes it; so everything that has an install() of something built.
function(floe_installed name)
  set_property(GLOBAL APPEND PROPERTY FLOE_INSTALLED ${name})
endfunction()

# floe_library(name SOURCES file... LINK target...): a static library; headers are included from the top of the tree.
function(floe_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
  target_link_libraries(${name} PUBLIC PkgConfig::GLIB ${arg_LINK})
  set_property(GLOBAL APPEND PROPERTY FLOE_LIBRARIES ${name})
endfunction()

# floe_program(name SOURCES file... LINK target...): an executable, put in bin/ of the build.
function(floe_program name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  floe_installed(${name})
endfunction()
