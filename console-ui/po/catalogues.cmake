# SPDX-License-Identifier: GPL-2.0-or-later
# gettext, domain floe. The template is made from the sources at each build; a catalogue that lacks a message of it, or has a
# fuzzy one, is refused by tests/unit/catalogues.sh. A new language: LANGUAGES here, and languages[] in floe-language.c.
set(LANGUAGES fr)
set(LOCALES fr_FR)
find_program(XGETTEXT xgettext REQUIRED)
find_program(MSGFMT msgfmt REQUIRED)
find_program(LOCALEDEF localedef REQUIRED)

file(GLOB translated RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS floe-*.c)
set(template ${CMAKE_CURRENT_BINARY_DIR}/floe.pot)
add_custom_command(OUTPUT ${template}
  COMMAND ${XGETTEXT} --from-code=UTF-8 --language=C --keyword=_ --keyword=N_ --add-comments=Translators --sort-by-file
    --package-name=floe --package-version=${PROJECT_VERSION} --directory=${CMAKE_CURRENT_SOURCE_DIR} --output=${template} ${translated}
  DEPENDS ${translated} VERBATIM)
set(made ${template})

foreach(language ${LANGUAGES})
  set(directory ${CMAKE_BINARY_DIR}/share/locale/${language}/LC_MESSAGES)
  add_custom_command(OUTPUT ${directory}/floe.mo
    COMMAND ${CMAKE_COMMAND} -E make_directory ${directory}
    COMMAND ${MSGFMT} --check --output-file=${directory}/floe.mo ${CMAKE_CURRENT_SOURCE_DIR}/po/${language}.po
    DEPENDS po/${language}.po VERBATIM)
  list(APPEND made ${directory}/floe.mo)
  install(FILES ${directory}/floe.mo DESTINATION ${CMAKE_INSTALL_DATADIR}/locale/${language}/LC_MESSAGES)
endforeach()

# gettext wants a locale of the language to be there, and nothing of it but its messages is used: the rest (3 MB of collation) is
# not kept. localedef warns of what it leaves out with status 1, so what counts is the file.
foreach(locale ${LOCALES})
  set(directory ${CMAKE_BINARY_DIR}/share/floe/locale/${locale}.UTF-8)
  add_custom_command(OUTPUT ${directory}/LC_MESSAGES/SYS_LC_MESSAGES
    COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/share/floe/locale
    COMMAND ${LOCALEDEF} --no-archive -i ${locale} -f UTF-8 ${CMAKE_CURRENT_BINARY_DIR}/${locale}.UTF-8 || true
    COMMAND ${CMAKE_COMMAND} -E copy_directory ${CMAKE_CURRENT_BINARY_DIR}/${locale}.UTF-8/LC_MESSAGES ${directory}/LC_MESSAGES
    VERBATIM)
  list(APPEND made ${directory}/LC_MESSAGES/SYS_LC_MESSAGES)
  install(DIRECTORY ${directory} DESTINATION ${CMAKE_INSTALL_DATADIR}/floe/locale)
endforeach()
add_custom_target(floe-catalogues ALL DEPENDS ${made})
add_dependencies(floe-console floe-catalogues)
