// Carries the precompiled LibTorch headers that the other targets reuse.
