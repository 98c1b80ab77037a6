#pragma once
#include <nanobind/nanobind.h>

void bind_probe(nanobind::module_ &module);
