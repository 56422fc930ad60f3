//! Conformance suites, a memory store, a manual clock and a model hypervisor for deploy-core's seams
