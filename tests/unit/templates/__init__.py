"""Tests of the generated template: what an emulator drops in silence is asserted here."""
