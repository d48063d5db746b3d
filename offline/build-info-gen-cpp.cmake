# In place of ik_llama.cpp's file of this name, which its PyPI sdist leaves out: common/CMakeLists.txt runs it, from the
# source's root, to write common/build-info.cpp.
include("${CMAKE_CURRENT_LIST_DIR}/../../cmake/build-info.cmake")
configure_file("${CMAKE_CURRENT_LIST_DIR}/../build-info.cpp.in" "${CMAKE_CURRENT_LIST_DIR}/../build-info.cpp")
