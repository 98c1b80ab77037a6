#pragma once
#include <nanobind/nanobind.h>

void bind_table(nanobind::module_ &module);
