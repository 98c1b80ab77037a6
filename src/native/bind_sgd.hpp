#pragma once
#include <nanobind/nanobind.h>

void bind_sgd(nanobind::module_ &module);
