/** Which file answers which transaction. */
import type { TransactionHandlers } from '../transaction.js';
import { complete } from './complete.js';
import { connect } from './connect.js';
import { createAccount } from './create-account.js';
import { deleteAccount } from './delete-account.js';
import { download } from './download.js';
import { hello } from './hello.js';
import { fetchLarge, storeLarge } from './large.js';
import { post } from './post.js';
import { status } from './status.js';
import { upload } from './upload.js';

/** All transactions. */
export const transactionHandlers: TransactionHandlers = {
  Hello: hello,
  CreateAccount: createAccount,
  DeleteAccount: deleteAccount,
  Status: status,
  Download: download,
  Upload: upload,
  Post: post,
  StoreLarge: storeLarge,
  FetchLarge: fetchLarge,
  Connect: connect,
  Complete: complete,
};
