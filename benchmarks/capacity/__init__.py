"""The capacity model beside a simulation, the bench's figures and the handler itself."""
