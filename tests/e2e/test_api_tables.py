"""The tables of both APIs: expected beside answered."""

import unittest

import api_table
import api_table_daemon


class Tables(unittest.TestCase):

    def test_taskmq(self):
        self.assertEqual(api_table.run().bad, 0)

    def test_taskdaemon(self):
        self.assertEqual(api_table_daemon.run().bad, 0)


if __name__ == "__main__":
    unittest.main()
